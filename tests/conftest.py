"""What all tests share: one thread, the example drugs, and no GPU tests without a GPU."""

from pathlib import Path

import pytest
import torch

REPOSITORY = Path(__file__).resolve().parents[1]

torch.set_num_threads(1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


@pytest.fixture(scope="session")
def drugs() -> dict[str, str]:
    """SMILES of the example drugs by name."""
    lines = (REPOSITORY / "data" / "drugs.smi").read_text(encoding="utf-8").splitlines()
    fields = [line.split(maxsplit=1) for line in lines if line.strip() and not line.startswith("#")]
    return {name.strip(): smiles for smiles, name in fields}
