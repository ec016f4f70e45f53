"""Bonds that a small ring has no room for."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Final

from rdkit import Chem

from molebm.errors import Fault

SMALLEST_RING: Final = 8
"""Atoms of the smallest ring that can be made and kept with a triple, cumulated or trans double bond in it."""


def strained_rings(mol: Chem.Mol) -> Iterator[Fault]:
    """Find triple and cumulated bonds in rings of less than eight atoms, and double bonds at bridgeheads.

    A double bond of a bridgehead is trans in one of the two rings that it is in, and so needs one of eight atoms
    (Bredt's rule).
    """
    rings = [frozenset(ring) for ring in mol.GetRingInfo().BondRings()]
    for ring in rings:
        if len(ring) < SMALLEST_RING:
            yield from _linear_atoms(mol, ring)
    rooms: dict[int, int] = {}  # of each double bond at a bridgehead, the larger of the two rings it is in
    for one, other in itertools.combinations(rings, 2):
        if len(one & other) >= 2:
            for bond in _at_bridgehead(mol, one, other):
                room = max(len(ring) for ring in (one, other, one ^ other) if bond in ring)
                rooms[bond] = min(room, rooms.get(bond, room))
    for bond, size in rooms.items():
        if size < SMALLEST_RING:
            atoms = (mol.GetBondWithIdx(bond).GetBeginAtomIdx(), mol.GetBondWithIdx(bond).GetEndAtomIdx())
            yield Fault(f"{_name(mol, atoms[0])}={_name(mol, atoms[1])} is a double bond at a bridgehead", atoms)


def _linear_atoms(mol: Chem.Mol, ring: frozenset[int]) -> Iterator[Fault]:
    doubles = []
    for bond in map(mol.GetBondWithIdx, sorted(ring)):
        ends = (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        if bond.GetBondType() == Chem.BondType.TRIPLE:
            yield Fault(
                f"{_name(mol, ends[0])}#{_name(mol, ends[1])} is a triple bond in a ring of {len(ring)} atoms", ends
            )
        elif bond.GetBondType() == Chem.BondType.DOUBLE:
            doubles.append(ends)
    for one, other in itertools.combinations(doubles, 2):
        for middle in set(one) & set(other):
            if mol.GetAtomWithIdx(middle).GetAtomicNum() in (6, 7):  # sulfur and phosphorus are not linear
                yield Fault(f"{_name(mol, middle)} has two double bonds in a ring of {len(ring)} atoms", (middle,))


def _at_bridgehead(mol: Chem.Mol, one: frozenset[int], other: frozenset[int]) -> list[int]:
    """Find the double bonds, in two rings that share a bridge, of the atoms where the bridge ends."""
    near: dict[int, list[int]] = {}  # bonds of each atom of both rings
    for index in one | other:
        bond = mol.GetBondWithIdx(index)
        for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()):
            near.setdefault(atom, []).append(index)
    forks = [bonds for bonds in near.values() if len(bonds) > 2]
    if len(forks) != 2 or any(len(bonds) != 3 for bonds in forks):
        return []
    return [i for bonds in forks for i in bonds if mol.GetBondWithIdx(i).GetBondType() == Chem.BondType.DOUBLE]


def _name(mol: Chem.Mol, atom: int) -> str:
    return f"{mol.GetAtomWithIdx(atom).GetSymbol()}{atom}"
