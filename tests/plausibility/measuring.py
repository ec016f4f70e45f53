"""Structures measured with MMFF94, and one kind of term picked out."""

import numpy as np
import torch
from rdkit import Chem

from molebm.parametrise import Parametrise, mmff
from molebm.plausibility.batches import assemble, runs_of_poses
from molebm.plausibility.measurement import Measurement, measure
from molebm.plausibility.observations import Kind, Observations
from molebm.plausibility.structures import admit

MMFF = mmff()


def measured(*mols: Chem.Mol, energy: Parametrise = MMFF, with_strain: bool = False) -> Measurement:
    runs = runs_of_poses(enumerate(map(admit, mols)))
    batch, failed = assemble(runs, energy, torch.device("cpu"))
    if batch is None or failed:
        raise ValueError(failed)
    return measure(batch, with_strain=with_strain)


def observed(measurement: Measurement, kind: Kind) -> Observations:
    return next(one for one in measurement.observations if one.kind is kind)


def term(measurement: Measurement, kind: Kind, *atoms: int) -> float:
    """Deviation of the term of these atoms, in either order."""
    found = observed(measurement, kind)
    rows = found.atoms.T.tolist()
    row = next(place for place, row in enumerate(rows) if row in (list(atoms), list(atoms[::-1])))
    return float(found.deviation[row, 0])


def worst(measurement: Measurement, kind: Kind) -> tuple[set[int], float]:
    """The atoms of the term that is furthest off, and how far."""
    found = observed(measurement, kind)
    if not found.deviation.numel():
        return set(), 0.0
    size = found.deviation[:, 0].abs().numpy()
    row = int(np.argmax(size))
    return set(found.atoms[:, row].tolist()), float(size[row])
