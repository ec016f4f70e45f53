"""Whether coordinates are still those of the molecule: its bonds and no others, and its stereo."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from torch import Tensor

from molebm.chem.stereo import declared_centres, declared_double_bonds
from molebm.errors import MoleculeError
from molebm.plausibility.stereo import as_declared, mismatches_with
from molebm.plausibility.structures import Structure

LONGEST_BOND: Final = 1.25  # times its length at rest; a bond beyond is broken, or threaded by another
SHORTEST_BOND: Final = 0.75  # times the same
CLOSEST_PAIR: Final = 1.1  # times the sum of the covalent radii; nearer atoms have made a bond
_OPEN: Final = (Chem.BondStereo.STEREONONE, Chem.BondStereo.STEREOANY)


def changes(structure: Structure, mol: Chem.Mol, bond_length: Tensor) -> list[str]:
    """Say where `mol`, the structure with other coordinates, is no longer the molecule that it is meant to be.

    Bonds are read from the distances again; `bond_length` (B,) Å is that of each at rest. Declared stereo must be as
    declared, and what is not declared as it was, so that a centre that was flat has no hand either.
    """
    x = mol.GetConformer().GetPositions()  # (N, 3)
    if not np.isfinite(x).all():
        return ["the coordinates are not finite"]
    return [
        *_bonds(mol, x, bond_length.double().cpu().numpy()),
        *_contacts(mol, x),
        *(fault.words for fault in mismatches_with(mol, structure.declared)),
        *_undeclared(structure, mol),
    ]


def meant(structure: Structure) -> Chem.Mol:
    """Return the molecule with the stereo that is declared and, where none is, that of the coordinates.

    Atoms are in the order of the structure, and bonds may not be.

    Raises
    ------
    MoleculeError
        If what is declared is another molecule.
    """
    mol = Chem.Mol(structure.mol) if structure.declared is None else as_declared(structure.mol, structure.declared)
    seen = as_seen(mol)
    for atom, other in zip(mol.GetAtoms(), seen.GetAtoms(), strict=True):
        if atom.GetChiralTag() == Chem.ChiralType.CHI_UNSPECIFIED:
            atom.SetChiralTag(other.GetChiralTag())
    for bond, other in zip(mol.GetBonds(), seen.GetBonds(), strict=True):
        if bond.GetStereo() in _OPEN and other.GetStereo() not in _OPEN:
            bond.SetStereoAtoms(*other.GetStereoAtoms())
            bond.SetStereo(_by_atoms(other.GetStereo()))
    return mol


def as_seen(mol: Chem.Mol) -> Chem.Mol:
    """Copy with the stereo that the coordinates have, and no other."""
    copy = Chem.Mol(mol)
    Chem.AssignStereochemistryFrom3D(copy, replaceExistingTags=True)
    return copy


def _bonds(mol: Chem.Mol, x: NDArray[np.float64], at_rest: NDArray[np.float64]) -> Iterator[str]:
    for bond, rest in zip(mol.GetBonds(), at_rest, strict=True):
        a, b = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        length = float(np.linalg.norm(x[a] - x[b]))
        if not SHORTEST_BOND * rest < length < LONGEST_BOND * rest:
            yield f"bond {_label(mol, a)}-{_label(mol, b)} would be {length:.2f} Å, expected {rest:.2f} Å"


def _contacts(mol: Chem.Mol, x: NDArray[np.float64]) -> Iterator[str]:
    table = Chem.GetPeriodicTable()
    radii = np.array([table.GetRcovalent(atom.GetAtomicNum()) for atom in mol.GetAtoms()])
    apart = np.linalg.norm(x[:, None] - x, axis=-1)  # (N, N)
    near = np.triu(apart < CLOSEST_PAIR * (radii[:, None] + radii), 1)
    for a, b in np.argwhere(near).tolist():
        if mol.GetBondBetweenAtoms(a, b) is None:
            yield f"{_label(mol, a)} and {_label(mol, b)} would be {apart[a, b]:.2f} Å apart, as if they were bonded"


def _undeclared(structure: Structure, mol: Chem.Mol) -> Iterator[str]:
    """Compare the stereo that coordinates have with what they had, where nothing declares it."""
    try:
        named = structure.mol if structure.declared is None else as_declared(structure.mol, structure.declared)
    except MoleculeError:  # which is told as a mismatch
        return
    centres = {atoms[0] for atoms, _ in declared_centres(named)}
    bonds = {frozenset(atoms[1:3]) for atoms, _ in declared_double_bonds(named)}
    before, after = as_seen(structure.mol), as_seen(mol)
    for was, now in zip(before.GetAtoms(), after.GetAtoms(), strict=True):
        if was.GetChiralTag() != now.GetChiralTag() and was.GetIdx() not in centres:
            label = _label(mol, was.GetIdx())
            yield f"{label} was {_hand(was)} and would be {_hand(now)}, and is not declared"
    for was, now in zip(before.GetBonds(), after.GetBonds(), strict=True):
        ends = (was.GetBeginAtomIdx(), was.GetEndAtomIdx())
        if was.GetStereo() != now.GetStereo() and frozenset(ends) not in bonds:
            label = "=".join(_label(mol, end) for end in ends)
            yield f"{label} was {_side(was)} and would be {_side(now)}, and is not declared"


def _by_atoms(stereo: Chem.BondStereo) -> Chem.BondStereo:
    """Say E and Z as cis and trans, which can be set without ranking the substituents again."""
    return {
        Chem.BondStereo.STEREOZ: Chem.BondStereo.STEREOCIS,
        Chem.BondStereo.STEREOE: Chem.BondStereo.STEREOTRANS,
    }.get(stereo, stereo)


def _hand(atom: Chem.Atom) -> str:
    if atom.GetChiralTag() == Chem.ChiralType.CHI_UNSPECIFIED:
        return "open"
    return atom.GetProp("_CIPCode") if atom.HasProp("_CIPCode") else atom.GetChiralTag().name[-3:].strip("_")


def _side(bond: Chem.Bond) -> str:
    return "open" if bond.GetStereo() in _OPEN else bond.GetStereo().name.removeprefix("STEREO")


def _label(mol: Chem.Mol, atom: int) -> str:
    return f"{mol.GetAtomWithIdx(atom).GetSymbol()}{atom}"
