"""What of a molecule can be moved as one: atoms with their hydrogens, sides of bonds, centres, rings."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem


class Parts(NamedTuple):
    """What can be moved in a molecule."""

    groups: list[NDArray[np.int64]]  # each heavier atom with its hydrogens
    bonded: list[tuple[int, int]]  # hydrogen, and the atom that bears it
    sides: list[tuple[int, int, NDArray[np.int64]]]  # of bonds outside rings: who stays, who moves, and all beyond
    centres: list[tuple[int, list[int], list[int]]]  # atoms, three heavier neighbours of each, and its others
    hanging: list[tuple[int, list[NDArray[np.int64]]]]  # atoms, and two sides or more that hang from each
    rings: list[list[NDArray[np.int64]]]  # the atoms of each, first in its row, each with what it bears
    corners: list[NDArray[np.int64]]  # atoms of one ring alone, each with what it bears


def parts_of(mol: Chem.Mol) -> Parts:
    """Find what can be moved."""
    neighbours = [[a.GetIdx() for a in atom.GetNeighbors()] for atom in mol.GetAtoms()]
    heavy = [atom.GetAtomicNum() > 1 for atom in mol.GetAtoms()]
    groups = [np.array([i, *(j for j in near if not heavy[j])]) for i, near in enumerate(neighbours) if heavy[i]]
    bonded = [(h, near[0]) for h, near in enumerate(neighbours) if not heavy[h] and near and heavy[near[0]]]
    sides = []
    for bond in mol.GetBonds():
        ends = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if not bond.IsInRing() and all(heavy[i] for i in ends):
            found = [(stays, moves, _beyond(neighbours, {stays}, moves)) for stays, moves in (ends, ends[::-1])]
            sides.append(min(found, key=lambda side: len(side[2])))
    centres = [
        (i, [j for j in near if heavy[j]][:3], [j for j in near if not heavy[j]])
        for i, near in enumerate(neighbours)
        if sum(heavy[j] for j in near) >= 3
    ]
    corners = [
        {i: _beyond(neighbours, set(ring) - {i}, i) for i in ring if mol.GetRingInfo().NumAtomRings(i) == 1}
        for ring in mol.GetRingInfo().AtomRings()
    ]
    rings = [
        list(own.values())
        for own, ring in zip(corners, mol.GetRingInfo().AtomRings(), strict=True)
        if set(own) == set(ring)
    ]
    return Parts(
        groups,
        bonded,
        sides,
        centres,
        _hanging(mol, neighbours),
        rings,
        [corner for own in corners for corner in own.values()],
    )


def _hanging(mol: Chem.Mol, neighbours: list[list[int]]) -> list[tuple[int, list[NDArray[np.int64]]]]:
    """Find atoms that two sides or more of heavier atoms hang from; the largest stays where none is in a ring."""
    found = []
    for atom in mol.GetAtoms():
        centre = atom.GetIdx()
        ends = [bond.GetOtherAtomIdx(centre) for bond in atom.GetBonds() if not bond.IsInRing()]
        heavier = [j for j in ends if mol.GetAtomWithIdx(j).GetAtomicNum() > 1]
        sides = sorted((_beyond(neighbours, {centre}, j) for j in heavier), key=len)
        if sides and not atom.IsInRing():
            sides = sides[:-1]
        if len(sides) > 1:
            found.append((centre, sides))
    return found


def _beyond(neighbours: list[list[int]], fixed: set[int], start: int) -> NDArray[np.int64]:
    """List the atoms reached from one without passing those that are fixed, itself first."""
    found, ahead = [start], [start]
    seen = fixed | {start}
    while ahead:
        near = [j for j in neighbours[ahead.pop()] if j not in seen]
        seen.update(near)
        found += near
        ahead += near
    return np.array(found)
