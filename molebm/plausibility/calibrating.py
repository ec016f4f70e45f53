"""Calibrations from structures that are trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem

from molebm.errors import MoleculeError, RequestError, TimeLimitError
from molebm.parametrise import NamedEnergy
from molebm.plausibility.batches import assemble, batches, runs_of_poses
from molebm.plausibility.calibration import Calibration
from molebm.plausibility.environments import Norm
from molebm.plausibility.measurement import Measurement, measure
from molebm.plausibility.statistics import learn_norms, standardised, statistics
from molebm.plausibility.structures import Structure, admit
from molebm.plausibility.yardstick import Source

Numbers = NDArray[np.float64]

FEWEST: Final = 20  # trusted structures: with fewer no p-value is as small as 0.05
FOLDS: Final = 5  # what is usual is learned from the others, when trusted structures are scored
WINDOW: Final = 128  # structures measured side by side


class Measured(NamedTuple):
    """Measurements with the heavy atoms of their structures, in their order."""

    measurement: Measurement
    heavy_atoms: Numbers  # (G,)


def measure_structures(mols: Iterable[Chem.Mol], energy: NamedEnergy, device: str = "cpu") -> Iterator[Measured]:
    """Measure structures, each by itself, and leave out those that cannot be scored."""
    admitted: list[Structure] = []
    for mol in mols:
        try:
            admitted.append(admit(mol))
        except MoleculeError:
            continue
        if len(admitted) == WINDOW:
            yield from _measure(admitted, energy, device)
            admitted = []
    yield from _measure(admitted, energy, device)


def trusted_source(measured: Sequence[Measured], norms: Mapping[str, Norm], provenance: str) -> Source:
    """Sum up trusted structures by what is usual."""
    found = [statistics(one.measurement, standardised(one.measurement, norms)) for one in measured]
    if not found:
        raise RequestError("no structure can be scored; a calibration needs structures in three dimensions")
    numbers = {name: np.concatenate([each[name].numpy().ravel() for each in found]) for name in found[0]}
    return Source(provenance, numbers, np.concatenate([one.heavy_atoms for one in measured]))


def calibrate(
    mols: Iterable[Chem.Mol],
    energy: NamedEnergy,
    base: Calibration,
    *,
    source: str,
    provenance: str,
    device: str = "cpu",
) -> Calibration:
    """Add a source of trusted structures to a calibration, or replace it; all else stays.

    Raises
    ------
    RequestError
        If fewer than `FEWEST` structures can be scored, or the calibration is of another energy.
    """
    if energy.name != base.energy:
        raise RequestError(f"the calibration is of the energy {base.energy!r}, not {energy.name!r}; choose that one")
    found = trusted_source(list(measure_structures(mols, energy, device)), base.norms, provenance)
    if found.n < FEWEST:
        raise RequestError(f"{found.n} structures can be scored; a calibration needs at least {FEWEST}")
    return replace(base, sources={**base.sources, source: found})


def learn_calibration(
    mols: Sequence[Chem.Mol],
    energy: NamedEnergy,
    *,
    source: str,
    provenance: str,
    seed: int = 0,
    device: str = "cpu",
) -> Calibration:
    """Learn from trusted structures what is usual in each environment, and what they score.

    Each fold of the structures is scored by what is usual in the others, as new structures will be.
    """
    generator = np.random.default_rng(seed)
    fold = generator.permutation(len(mols)) % FOLDS
    folds = [[mol for mol, n in zip(mols, fold, strict=True) if n == k] for k in range(FOLDS)]
    measured = [list(measure_structures(part, energy, device)) for part in folds]
    others = [
        learn_norms([one.measurement for n, part in enumerate(measured) if n != k for one in part])
        for k in range(FOLDS)
    ]
    trusted = _joined([trusted_source(part, norms, provenance) for part, norms in zip(measured, others, strict=True)])
    everything = [one.measurement for part in measured for one in part]
    return Calibration(energy.name, learn_norms(everything), {source: trusted})


def _measure(admitted: Sequence[Structure], energy: NamedEnergy, device: str) -> Iterator[Measured]:
    runs = runs_of_poses([(place, structure) for place, structure in enumerate(admitted)])
    for molecules in batches(runs):
        batch, _ = assemble(molecules, energy.parametrise, torch.device(device))
        if batch is None:
            continue
        try:
            measurement = measure(batch, with_strain=True)
        except TimeLimitError:
            continue
        heavy = [poses.structures[0].mol.GetNumHeavyAtoms() for poses in batch.molecules]
        yield Measured(measurement, np.repeat(np.array(heavy, dtype=float), measurement.energy.shape[1]))


def _joined(sources: Sequence[Source]) -> Source:
    first = sources[0]
    numbers = {name: np.concatenate([each.statistics[name] for each in sources]) for name in first.statistics}
    return Source(first.provenance, numbers, np.concatenate([each.heavy_atoms for each in sources]))
