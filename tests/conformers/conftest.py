from collections.abc import Iterator

import pytest

from molebm.conformers import backends
from molebm.conformers.annealing import Schedule


@pytest.fixture(scope="session", autouse=True)
def short_schedule() -> Iterator[None]:
    """Tenth of the usual dynamics, enough for molecules of a few atoms."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "FULL", Schedule(n_temperatures=10, steps_per_temperature=20))
        yield
