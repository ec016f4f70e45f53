"""What stands in for the search of conformers where only the way of the results is looked at.

One to three conformers of each molecule by its index and the seed, and of every fiftieth a failure, at the cost of
nothing but the time that is slept.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.conformers.outcomes import Outcomes, ensemble, failure

FAILS_EVERY = 50


def made_up(seconds: float) -> Callable[..., list[Outcomes]]:
    """Return what takes the place of `molebm.conformers.batch.generate_batch`, so many seconds for each molecule."""

    def generate_batch(records: Sequence[Record], backend, settings, parametrise) -> list[Outcomes]:
        time.sleep(seconds * len(records))
        return [_outcomes(record, settings.seed) for record in records]

    return generate_batch


def _outcomes(record: Record, seed: int) -> Outcomes:
    if record.mol is None or record.index % FAILS_EVERY == FAILS_EVERY - 1:
        return [failure(record.name, record.source, record.error or "made up to fail; leave it")]
    noise = np.random.default_rng((seed, record.index))
    mol = Chem.AddHs(record.mol)
    n_conformers = int(noise.integers(1, 4))
    positions = noise.normal(size=(n_conformers, mol.GetNumAtoms(), 3))
    energies = np.sort(noise.normal(size=n_conformers))
    return [ensemble(record.name, record.source, mol, positions, energies, energies, 300.0, record=record.index)]
