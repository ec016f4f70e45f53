"""Ensembles read back from files, where the conformers of a molecule follow one another as records."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.conformers.outcomes import ENERGY, RELATIVE_ENERGY, WEIGHT, Ensemble
from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.symmetry import symmetry

MOST_KEPT: Final = 100  # conformers of one molecule whose coordinates are kept


@dataclass(slots=True)
class Shown:
    """One molecule with the first of its conformers, and numbers of all of them; NaN where the file has none."""

    record: int  # of its first conformer
    name: str
    mol: Chem.Mol
    positions: list[NDArray[np.float64]] = field(default_factory=list)  # (N, 3) Å each
    energies: list[float] = field(default_factory=list)  # kcal/mol, or above the lowest where only that is told
    weights: list[float] = field(default_factory=list)

    @property
    def n_conformers(self) -> int:
        return len(self.energies)


def ensembles_of(records: Iterable[Record], most_kept: int = MOST_KEPT) -> Iterator[Shown | Record]:
    """Join records that follow one another with the same name, atoms and bonds; those without a structure pass at once.

    Memory holds the coordinates of the first `most_kept` conformers, and the numbers of one molecule.
    """
    current: Shown | None = None
    for record in records:
        mol = record.mol
        if mol is None or not mol.GetNumConformers():
            yield record
            continue
        if current is None or current.name != record.name or not _same(current.mol, mol):
            if current is not None:
                yield current
            current = Shown(record.index, record.name, mol)
        _add(current, mol, most_kept)
    if current is not None:
        yield current


def shown(ensemble: Ensemble | Chem.Mol, record: int = 0) -> Shown:
    """Take what `molebm.generate` or `generate_ensembles` returns as it would be read from a file."""
    mol = ensemble.mol if isinstance(ensemble, Ensemble) else ensemble
    found = Shown(record, mol.GetProp("_Name") if mol.HasProp("_Name") else "", mol)
    _add(found, mol, MOST_KEPT)
    return found


def from_lowest(found: Shown) -> NDArray[np.float64]:
    """Measure how far each conformer that is kept is from the lowest of them, (C,) Å; without energies, the first."""
    kept = np.array(found.energies[: len(found.positions)])
    lowest = 0 if np.isnan(kept).all() else int(np.nanargmin(kept))
    positions = np.stack(found.positions)
    return np.asarray(rmsd_matrix(positions[lowest][None], symmetry(found.mol), positions)[0], dtype=np.float64)


def _add(found: Shown, mol: Chem.Mol, most_kept: int) -> None:
    for conformer in mol.GetConformers():
        if len(found.positions) < most_kept:
            found.positions.append(conformer.GetPositions())
        energy = _number(conformer, mol, ENERGY)
        found.energies.append(_number(conformer, mol, RELATIVE_ENERGY) if np.isnan(energy) else energy)
        found.weights.append(_number(conformer, mol, WEIGHT))


def _number(conformer: Chem.Conformer, mol: Chem.Mol, key: str) -> float:
    """Read a number of a conformer, or of the record that holds it."""
    for owner in (conformer, mol):
        if owner.HasProp(key):
            try:
                return float(owner.GetPropsAsDict()[key])
            except (ValueError, TypeError):
                return float("nan")
    return float("nan")


def _same(a: Chem.Mol, b: Chem.Mol) -> bool:
    """Whether atoms and bonds are the same in the same order."""
    if (a.GetNumAtoms(), a.GetNumBonds()) != (b.GetNumAtoms(), b.GetNumBonds()):
        return False
    atoms = zip(a.GetAtoms(), b.GetAtoms(), strict=True)
    if any(x.GetAtomicNum() != y.GetAtomicNum() or x.GetFormalCharge() != y.GetFormalCharge() for x, y in atoms):
        return False
    ends = ([(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()] for mol in (a, b))
    return next(ends) == next(ends)
