"""Structures that can be scored: chemistry that an energy knows, with three coordinates for every atom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.cleaning import check_molecule, with_hydrogens
from molebm.chem.graph import positions_from_mol
from molebm.chem.reading import Record
from molebm.chem.sanity import chemistry_problems
from molebm.errors import GraphError, MoleculeError

DECLARED_SMILES: Final = "declared_smiles"
"""Data field of a record with the SMILES, and so the stereo, that the structure is meant to have."""

SMALLEST_EXTENT: Final = 1e-3  # Å; atoms that are all nearer than this have no coordinates


@dataclass(frozen=True, slots=True)
class Structure:
    """One record with hydrogens explicit and one conformer."""

    given: Chem.Mol  # with the hydrogens of the record
    mol: Chem.Mol
    positions: Tensor  # (3, N, 1) Å float64, about their centre
    n_given: int  # atoms of the record; the hydrogens added come after them
    declared: str | None  # SMILES of what it is meant to be

    @property
    def n_added(self) -> int:
        return self.mol.GetNumAtoms() - self.n_given

    def is_pose_of(self, other: Structure) -> bool:
        """Tell whether the other is the same molecule, with the same order of atoms."""
        sizes = (self.n_given, self.mol.GetNumAtoms(), self.mol.GetNumBonds())
        if sizes != (other.n_given, other.mol.GetNumAtoms(), other.mol.GetNumBonds()):
            return False
        return self._graph() == other._graph()

    def _graph(self) -> tuple:
        atoms = tuple((atom.GetAtomicNum(), atom.GetFormalCharge()) for atom in self.mol.GetAtoms())
        bonds = tuple((b.GetBeginAtomIdx(), b.GetEndAtomIdx(), int(b.GetBondType())) for b in self.mol.GetBonds())
        return atoms, bonds


def admit(mol: Chem.Mol, declared: str | None = None) -> Structure:
    """Check one molecule with one conformer, and add the hydrogens it lacks beside their atoms.

    `declared` is the SMILES that the structure is meant to have, unless the record has its own.

    Raises
    ------
    MoleculeError
        If an energy knows no such chemistry, as `check_molecule`, or coordinates are missing, flat,
        not finite, or of several conformers. A GraphError if no molecule has such atoms and bonds.
    """
    mol = _sanitised(mol)
    check_molecule(mol)
    if mol.GetNumConformers() == 0:
        raise MoleculeError("there are no coordinates; give a structure in three dimensions, as `generate` makes")
    if mol.GetNumConformers() > 1:
        raise MoleculeError(
            f"there are {mol.GetNumConformers()} conformers, and one is scored at a time; give each its own record"
        )
    if not mol.GetConformer().Is3D():
        raise MoleculeError("the coordinates are a drawing in two dimensions; give a structure in three dimensions")
    given = mol.GetConformer().GetPositions()  # (N, 3)
    if not np.isfinite(given).all():
        atom = int(np.flatnonzero(~np.isfinite(given).all(axis=1))[0])
        raise MoleculeError(f"a coordinate of atom {atom} is not a finite number; write the record again")
    if len(given) > 1 and np.ptp(given, axis=0).max() < SMALLEST_EXTENT:
        raise MoleculeError("all atoms are in one place; give a structure in three dimensions")

    whole = with_hydrogens(mol)
    if mol.HasProp(DECLARED_SMILES):
        declared = mol.GetProp(DECLARED_SMILES)
    positions = positions_from_mol(whole, torch.float64)
    return Structure(mol, whole, positions - positions.mean(dim=1, keepdim=True), mol.GetNumAtoms(), declared)


def records_of(mols: Iterable[Chem.Mol | None]) -> Iterator[Record]:
    """Give each conformer of each molecule as a record."""
    for index, mol in enumerate(_frames(mols)):
        name = mol.GetProp("_Name") if mol is not None and mol.HasProp("_Name") else ""
        error = "it is None, as RDKit gives for what it cannot read; correct the input" if mol is None else None
        yield Record(index, name or f"mol-{index + 1}", f"molecule {index}", mol, error)


def _sanitised(mol: Chem.Mol) -> Chem.Mol:
    """Return the molecule as RDKit reads one, if it was made without."""
    if faults := tuple(chemistry_problems(mol)):
        raise GraphError(f"no molecule has such bonds: {faults[0].words}; correct the bonds or the charge", faults)
    if not mol.NeedsUpdatePropertyCache():
        return mol
    copy = Chem.Mol(mol)
    Chem.SanitizeMol(copy)
    return copy


def _frames(mols: Iterable[Chem.Mol | None]) -> Iterator[Chem.Mol | None]:
    """Give a molecule with several conformers once for each of them."""
    for mol in mols:
        if mol is None or mol.GetNumConformers() < 2:
            yield mol
        else:
            yield from (Chem.Mol(mol, confId=conformer.GetId()) for conformer in mol.GetConformers())
