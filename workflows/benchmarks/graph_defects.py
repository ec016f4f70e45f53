"""Defects of what a structure declares: the hand of its centres, the orders of its bonds, its hydrogens."""

from __future__ import annotations

from typing import Final

import numpy as np
from rdkit import Chem
from rigid_moves import Defect, any_one, beyond, turned, unit, with_positions

from molebm.chem.stereo import declared_centres

_SATURATED: Final = Chem.HybridizationType.SP3
_ELEMENTS: Final = {6, 7, 8}  # of the bonds whose order is changed


def inverted_centre(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Exchange two substituents of a declared centre and keep its tag; the severity has no meaning.

    Half a turn about the bisector of two substituents reflects their directions into each other and leaves each
    as it is, its own centres too, so that no other hand changes. None where three substituents are in rings, or
    the inverted molecule is the same.
    """
    x = mol.GetConformer().GetPositions()
    places = []
    for (centre, *_), _ in declared_centres(mol):
        free = [
            beyond(mol, [centre], b.GetOtherAtomIdx(centre))
            for b in mol.GetAtomWithIdx(centre).GetBonds()
            if not b.IsInRing()
        ]
        if len(free) >= 2 and _matters(mol, [centre]):
            places.append((centre, sorted(free, key=len)[:2]))
    if (place := any_one(places, generator)) is None:
        return None
    centre, sides = place
    first, second = (
        next(a.GetIdx() for a in mol.GetAtomWithIdx(centre).GetNeighbors() if a.GetIdx() in side) for side in sides
    )
    bisector = unit(x[first] - x[centre]) + unit(x[second] - x[centre])
    moved = turned(x, [*sides[0], *sides[1]], x[centre], bisector, 180)
    return Defect(with_positions(mol, moved), (centre,))


def mirror_image(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Reflect the whole molecule and keep its tags; None for a molecule that is its own image. No severity."""
    centres = [centre for (centre, *_), _ in declared_centres(mol)]
    if not centres or not _matters(mol, centres):
        return None
    return Defect(with_positions(mol, mol.GetConformer().GetPositions() * [-1, 1, 1]), tuple(centres))


def wrong_bond_order(mol: Chem.Mol, order: float, generator: np.random.Generator) -> Defect | None:
    """Declare a single bond double (severity 1) or a double bond single (-1); the atoms that stay do not move.

    For a double bond one hydrogen goes from each end, for a single bond one is placed by geometry at each. Bonds are
    of C with C, N or O, neutral, and not aromatic.
    """
    places = [b for b in mol.GetBonds() if (_can_be_double(b) if order > 0 else _is_double(b))]
    if (bond := any_one(places, generator)) is None:
        return None
    ends = (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
    edited = Chem.RWMol(mol)
    changed = edited.GetBondBetweenAtoms(*ends)
    changed.SetStereo(Chem.BondStereo.STEREONONE)
    changed.SetBondType(Chem.BondType.DOUBLE if order > 0 else Chem.BondType.SINGLE)
    for end in ends:
        edited.GetAtomWithIdx(end).SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
    if order > 0:
        return _without(edited, [_hydrogens(mol.GetAtomWithIdx(end))[0] for end in ends], ends)
    for end in ends:
        edited.GetAtomWithIdx(end).SetNoImplicit(False)
    Chem.SanitizeMol(edited)
    return Defect(Chem.AddHs(edited.GetMol(), addCoords=True, onlyOnAtoms=ends), ends)


def missing_hydrogen(mol: Chem.Mol, number: float, generator: np.random.Generator) -> Defect | None:
    """Remove so many hydrogens; their atoms keep charge and valence, as a reader of the written file sees them.

    Those of declared centres and double bonds stay, since tags are written in terms of neighbours.
    """
    kept = {a for b in mol.GetBonds() for a in b.GetStereoAtoms()}
    kept |= {h for (centre, *_), _ in declared_centres(mol) for h in _hydrogens(mol.GetAtomWithIdx(centre))}
    places = [h for a in mol.GetAtoms() if a.GetAtomicNum() > 1 for h in _hydrogens(a) if h not in kept]
    if number < 1 or len(places) < number:
        return None
    gone = [int(h) for h in generator.choice(places, size=int(number), replace=False)]
    bearers = sorted({mol.GetAtomWithIdx(h).GetNeighbors()[0].GetIdx() for h in gone})
    edited = Chem.RWMol(mol)
    for bearer in bearers:
        edited.GetAtomWithIdx(bearer).SetNoImplicit(False)
    return _without(edited, gone, bearers)


def _without(edited: Chem.RWMol, gone: list[int], atoms: tuple[int, ...] | list[int]) -> Defect:
    """Remove atoms, and number those that the defect is about as they are then."""
    for atom in sorted(gone, reverse=True):
        edited.RemoveAtom(atom)
    Chem.SanitizeMol(edited)
    return Defect(edited.GetMol(), tuple(atom - sum(lost < atom for lost in gone) for atom in atoms))


def _matters(mol: Chem.Mol, centres: list[int]) -> bool:
    """Tell whether the molecule is another one with these centres inverted."""
    other = Chem.Mol(mol)
    for centre in centres:
        other.GetAtomWithIdx(centre).InvertChirality()
    return _canonical(other) != _canonical(mol)


def _canonical(mol: Chem.Mol) -> str:
    return Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(mol)))  # read again, for tags that do not matter


def _hydrogens(atom: Chem.Atom) -> list[int]:
    return [a.GetIdx() for a in atom.GetNeighbors() if a.GetAtomicNum() == 1 and a.GetDegree() == 1]


def _neutral_ends(bond: Chem.Bond) -> bool:
    ends = (bond.GetBeginAtom(), bond.GetEndAtom())
    elements = {atom.GetAtomicNum() for atom in ends}
    return 6 in elements and elements <= _ELEMENTS and not any(atom.GetFormalCharge() for atom in ends)


def _can_be_double(bond: Chem.Bond) -> bool:
    ends = (bond.GetBeginAtom(), bond.GetEndAtom())
    saturated = all(atom.GetHybridization() == _SATURATED and _hydrogens(atom) for atom in ends)
    return bond.GetBondType() == Chem.BondType.SINGLE and saturated and _neutral_ends(bond)


def _is_double(bond: Chem.Bond) -> bool:
    return bond.GetBondType() == Chem.BondType.DOUBLE and not bond.GetIsAromatic() and _neutral_ends(bond)
