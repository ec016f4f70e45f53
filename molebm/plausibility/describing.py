"""Structures in, rows of `DEFECT_FEATURES` out."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.featurising import Featurise
from molebm.errors import MoleculeError, TimeLimitError
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.batches import assemble, batches, runs_of_poses
from molebm.plausibility.calibration import load_calibration
from molebm.plausibility.defect_features import defect_features
from molebm.plausibility.measurement import measure
from molebm.plausibility.statistics import Norms, standardised
from molebm.plausibility.stereo import mismatches_with
from molebm.plausibility.structures import Structure, admit

WINDOW: Final = 128  # structures measured side by side


def defects(energy: str = LEARNED, calibration: str | None = None) -> Featurise:
    """Features "x" (D,) float32, `DEFECT_FEATURES`, beside what a calibration says is usual."""
    named, norms = named_energy(energy), load_calibration(calibration).norms

    def featurise(mol: Chem.Mol) -> dict[str, Tensor]:
        admit(mol)  # says what is wrong with one that cannot be measured
        found = dict(describe_structures([mol], named, norms))
        if not found:
            raise MoleculeError("the energy has no parameters for it, or relaxing it took too long; leave it out")
        return {"x": found[0]}

    return featurise


def describe_structures(
    mols: Iterable[Chem.Mol], energy: NamedEnergy, norms: Norms, device: str = "cpu"
) -> Iterator[tuple[int, Tensor]]:
    """Give the place of each structure that can be measured, from 0, and its row, (D,) float32.

    What cannot be measured is left out. Within a window the order is that of size.
    """
    admitted: list[tuple[int, Structure]] = []
    for place, mol in enumerate(mols):
        try:
            admitted.append((place, admit(mol)))
        except MoleculeError:
            continue
        if len(admitted) == WINDOW:
            yield from _describe(admitted, energy, norms, device)
            admitted = []
    yield from _describe(admitted, energy, norms, device)


def _describe(
    admitted: list[tuple[int, Structure]], energy: NamedEnergy, norms: Norms, device: str
) -> Iterator[tuple[int, Tensor]]:
    for molecules in batches(runs_of_poses(admitted)):
        batch, _ = assemble(molecules, energy.parametrise, torch.device(device))
        if batch is None:
            continue
        try:
            measurement = measure(batch, with_strain=False)
        except TimeLimitError:
            continue
        structures = [structure for poses in batch.molecules for structure in poses.structures]
        places = [place for poses in batch.molecules for place in poses.places]
        faults = [mismatches_with(structure.mol, structure.declared) for structure in structures]
        yield from zip(places, defect_features(batch, standardised(measurement, norms), faults), strict=True)
