"""Defects of the graph that a structure declares: the orders of its bonds, and its hydrogens."""

from __future__ import annotations

from collections import Counter
from typing import Final

import numpy as np
from rdkit import Chem
from rigid_moves import Defect, any_one

from molebm.chem.stereo import declared_centres

_SATURATED: Final = Chem.HybridizationType.SP3
_ELEMENTS: Final = {6, 7, 8}  # of the atoms whose bonds and hydrogens are changed
N_DIRECTIONS: Final = 64  # tried for a hydrogen
EXTRA_BOND: Final = 1.09  # Å


def wrong_bond_order(mol: Chem.Mol, order: float, generator: np.random.Generator) -> Defect | None:
    """Declare a single bond double (severity 1) or a double bond single (-1); the atoms that stay do not move.

    For a double bond one hydrogen goes from each end, for a single bond one is placed by geometry at each, unless the
    molecule has none. Bonds are of C with C, N or O, neutral, and not on aromatic rings.
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
        atom = edited.GetAtomWithIdx(end)
        atom.SetChiralTag(Chem.ChiralType.CHI_UNSPECIFIED)
        atom.SetNoImplicit(False)
        atom.SetNumExplicitHs(0)
    if order > 0:
        return _without(edited, [h for end in ends for h in _hydrogens(mol.GetAtomWithIdx(end))[:1]], ends)
    Chem.SanitizeMol(edited)
    if not any(_hydrogens(atom) for atom in mol.GetAtoms()):
        return Defect(edited.GetMol(), ends)
    return Defect(Chem.AddHs(edited.GetMol(), addCoords=True, onlyOnAtoms=ends), ends)


def missing_hydrogen(mol: Chem.Mol, number: float, generator: np.random.Generator) -> Defect | None:
    """Remove so many hydrogens; their atoms keep charge and valence, as a reader of the written file sees them.

    Those of declared centres and double bonds stay, since tags are written in terms of neighbours. None where
    hydrogens are missing already.
    """
    if any(atom.GetTotalNumHs() for atom in mol.GetAtoms()):
        return None
    kept = {a for b in mol.GetBonds() for a in b.GetStereoAtoms()}
    kept |= {h for (centre, *_), _ in declared_centres(mol) for h in _hydrogens(mol.GetAtomWithIdx(centre))}
    places = [h for a in mol.GetAtoms() if a.GetAtomicNum() > 1 for h in _hydrogens(a) if h not in kept]
    if number < 1 or len(places) < number:
        return None
    gone = [int(h) for h in generator.choice(places, size=int(number), replace=False)]
    lost = Counter(mol.GetAtomWithIdx(h).GetNeighbors()[0].GetIdx() for h in gone)
    bearers = sorted(lost)
    edited = Chem.RWMol(mol)
    for bearer in bearers:
        atom = edited.GetAtomWithIdx(bearer)
        atom.SetNoImplicit(False)
        if atom.GetIsAromatic():  # that a nitrogen bears one does not follow from its bonds
            atom.SetNumExplicitHs(lost[bearer])
    return _without(edited, gone, bearers)


def extra_hydrogen(mol: Chem.Mol, number: float, generator: np.random.Generator) -> Defect | None:
    """Bind so many more hydrogens to neutral C, N or O, which then have a valence too many.

    Each is on its own atom, where there is most room about it. The molecule that is returned is not sanitised, as no
    program that checks valences will.
    """
    places = [
        a.GetIdx()
        for a in mol.GetAtoms()
        if a.GetAtomicNum() in _ELEMENTS and not a.GetFormalCharge() and not a.GetIsAromatic()
    ]
    if number < 1 or len(places) < number:
        return None
    bearers = [int(i) for i in generator.choice(places, size=int(number), replace=False)]
    edited = Chem.RWMol(mol)
    for bearer in bearers:
        x = edited.GetConformer().GetPositions()
        directions = generator.normal(size=(N_DIRECTIONS, 3))
        sites = x[bearer] + EXTRA_BOND * directions / np.linalg.norm(directions, axis=1, keepdims=True)
        others = np.delete(x, bearer, axis=0)
        room = np.linalg.norm(sites[:, None] - others[None], axis=2).min(axis=1, initial=np.inf)
        new = edited.AddAtom(Chem.Atom(1))
        edited.AddBond(bearer, new, Chem.BondType.SINGLE)
        edited.GetConformer().SetAtomPosition(new, sites[int(room.argmax())])
        edited.GetAtomWithIdx(new).SetNoImplicit(True)
    edited.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(edited)
    return Defect(edited.GetMol(), (*bearers, *range(mol.GetNumAtoms(), edited.GetNumAtoms())))


def _without(edited: Chem.RWMol, gone: list[int], atoms: tuple[int, ...] | list[int]) -> Defect:
    """Remove atoms, and number those that the defect is about as they are then."""
    for atom in sorted(gone, reverse=True):
        edited.RemoveAtom(atom)
    Chem.SanitizeMol(edited)
    return Defect(edited.GetMol(), tuple(atom - sum(lost < atom for lost in gone) for atom in atoms))


def _hydrogens(atom: Chem.Atom) -> list[int]:
    return [a.GetIdx() for a in atom.GetNeighbors() if a.GetAtomicNum() == 1 and a.GetDegree() == 1]


def _neutral_ends(bond: Chem.Bond) -> bool:
    ends = (bond.GetBeginAtom(), bond.GetEndAtom())
    elements = {atom.GetAtomicNum() for atom in ends}
    return 6 in elements and elements <= _ELEMENTS and not any(atom.GetFormalCharge() for atom in ends)


def _can_be_double(bond: Chem.Bond) -> bool:
    ends = (bond.GetBeginAtom(), bond.GetEndAtom())
    saturated = all(atom.GetHybridization() == _SATURATED and atom.GetTotalNumHs(True) for atom in ends)
    return bond.GetBondType() == Chem.BondType.SINGLE and saturated and _neutral_ends(bond)


def _is_double(bond: Chem.Bond) -> bool:
    in_aromatic_ring = bond.GetBeginAtom().GetIsAromatic() or bond.GetEndAtom().GetIsAromatic()
    return bond.GetBondType() == Chem.BondType.DOUBLE and not in_aromatic_ring and _neutral_ends(bond)
