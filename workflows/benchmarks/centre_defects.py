"""Defects about one atom: what its neighbours stand around, and which of them is which element."""

from __future__ import annotations

from itertools import combinations
from typing import Final

import numpy as np
from rdkit import Chem
from rigid_moves import Defect, any_one, beyond, is_heavy, plane, turned, unit, with_positions

_SATURATED: Final = Chem.HybridizationType.SP3
_CARBONYL: Final = Chem.MolFromSmarts("[CX3]=[OX1]")
_AMIDE_NITROGEN: Final = Chem.MolFromSmarts("[NX3;+0;!a]-[CX3]=[OX1]")


def planar_centre(mol: Chem.Mol, fraction: float, generator: np.random.Generator) -> Defect | None:
    """Move a saturated carbon by a fraction of the way into the plane of three neighbours; at 1 it is in it.

    A fourth neighbour, a hydrogen, moves along. Of the three, those that are outside rings move outwards, so that
    their bonds keep their length.
    """
    places = []
    for atom in mol.GetAtoms():
        near = [a.GetIdx() for a in atom.GetNeighbors() if is_heavy(mol, a.GetIdx())]
        if atom.GetAtomicNum() == 6 and atom.GetHybridization() == _SATURATED and len(near) == 3:
            places.append((atom.GetIdx(), near))
    if (place := any_one(places, generator)) is None:
        return None
    centre, near = place
    x = mol.GetConformer().GetPositions()
    middle, normal = plane(x[near])
    moved = x.copy()
    moved[[centre, *_hydrogens(mol, centre)]] += fraction * ((middle - x[centre]) @ normal) * normal
    for atom in near:
        if not mol.GetBondBetweenAtoms(centre, atom).IsInRing():
            arm = moved[atom] - moved[centre]
            length = np.linalg.norm(x[atom] - x[centre])
            moved[beyond(mol, [centre], atom)] += (length - np.linalg.norm(arm)) * unit(arm)
    return Defect(with_positions(mol, moved), (centre,))


def pyramidal_amide(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move the nitrogen of an amide by so many Å out of the plane of its three neighbours, which stay."""
    found = {n for n, _, _ in mol.GetSubstructMatches(_AMIDE_NITROGEN) if mol.GetAtomWithIdx(n).GetDegree() == 3}
    return _out_of_plane(mol, any_one(sorted(found), generator), by)


def pyramidal_carbonyl(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move the carbon of a carbonyl by so many Å out of the plane of its three neighbours, which stay."""
    found = {c for c, _ in mol.GetSubstructMatches(_CARBONYL)}
    return _out_of_plane(mol, any_one(sorted(found), generator), by)


def _out_of_plane(mol: Chem.Mol, atom: int | None, by: float) -> Defect | None:
    if atom is None:
        return None
    moved = mol.GetConformer().GetPositions()
    middle, normal = plane(moved[[a.GetIdx() for a in mol.GetAtomWithIdx(atom).GetNeighbors()]])
    way = 1 if (moved[atom] - middle) @ normal >= 0 else -1  # further out, where it is not in the plane
    moved[atom] += way * by * normal
    return Defect(with_positions(mol, moved), (atom,))


def closed_umbrella(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Bend three ends on one atom of four neighbours, as those of CF3 or SO3, by so many degrees to their axis.

    They have no other neighbours than it and hydrogens, which move along.
    """
    places = []
    for atom in mol.GetAtoms():
        near = [a for a in atom.GetNeighbors() if a.GetAtomicNum() > 1]
        ends = [a.GetIdx() for a in near if _heavy_degree(a) == 1]
        if len(near) == 4 and len(ends) == 3:
            (stem,) = (a.GetIdx() for a in near if a.GetIdx() not in ends)
            places.append((stem, atom.GetIdx(), ends))
    if (place := any_one(places, generator)) is None:
        return None
    stem, centre, ends = place
    x = mol.GetConformer().GetPositions()
    moved = x.copy()
    for end in ends:
        axis = np.cross(x[end] - x[centre], x[centre] - x[stem])
        group = [end, *_hydrogens(mol, end)]
        moved[group] = turned(x, group, x[centre], axis, by)[group]
    return Defect(with_positions(mol, moved), (centre, *ends))


def misplaced_nitrogen(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Exchange the places of a nitrogen of an aromatic ring and of a CH next to it in the ring; no severity."""
    places = []
    for bond in mol.GetBonds():
        ends = sorted((bond.GetBeginAtom(), bond.GetEndAtom()), key=lambda a: a.GetAtomicNum())
        carbon, nitrogen = ends
        elements = (carbon.GetAtomicNum(), nitrogen.GetAtomicNum())
        bare = _heavy_degree(carbon) == 2 and nitrogen.GetDegree() == 2
        if bond.GetIsAromatic() and elements == (6, 7) and bare:
            places.append((carbon.GetIdx(), nitrogen.GetIdx()))
    if (pair := any_one(places, generator)) is None:
        return None
    carbon, nitrogen = pair
    moved = mol.GetConformer().GetPositions()
    step = moved[nitrogen] - moved[carbon]
    around = [a.GetIdx() for a in mol.GetAtomWithIdx(nitrogen).GetNeighbors() if a.GetIdx() != carbon]
    outwards = moved[nitrogen] - moved[[carbon, *around]].mean(axis=0)
    hydrogens = _hydrogens(mol, carbon)
    for h in hydrogens:
        moved[h] = moved[nitrogen] + np.linalg.norm(moved[h] - moved[carbon]) * unit(outwards)
    moved[carbon] += step
    moved[nitrogen] -= step
    return Defect(with_positions(mol, moved), pair)


def swapped_elements(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Exchange the places of two atoms of different elements on one atom, with their hydrogens; no severity.

    They have no other neighbours than it and hydrogens, as the oxygen and nitrogen of a primary amide.
    """
    places = []
    for atom in mol.GetAtoms():
        ends = [a.GetIdx() for a in atom.GetNeighbors() if _heavy_degree(a) == 1 and a.GetAtomicNum() > 1]
        places += [pair for pair in combinations(ends, 2) if len({_element(mol, i) for i in pair}) == 2]
    if (pair := any_one(places, generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    moved = x.copy()
    for here, there in (pair, pair[::-1]):
        moved[[here, *_hydrogens(mol, here)]] += x[there] - x[here]
    return Defect(with_positions(mol, moved), pair)


def _hydrogens(mol: Chem.Mol, atom: int) -> list[int]:
    return [a.GetIdx() for a in mol.GetAtomWithIdx(atom).GetNeighbors() if a.GetAtomicNum() == 1]


def _heavy_degree(atom: Chem.Atom) -> int:
    return sum(a.GetAtomicNum() > 1 for a in atom.GetNeighbors())


def _element(mol: Chem.Mol, atom: int) -> int:
    return mol.GetAtomWithIdx(atom).GetAtomicNum()
