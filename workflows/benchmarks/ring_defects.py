"""Defects of the shape of rings: atoms out of the plane of aromatic ones, and saturated ones that are flat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from rdkit import Chem
from rigid_moves import Array, Defect, any_one, beyond, is_heavy, plane, shifted, turned, unit, with_positions

_SATURATED: Final = Chem.HybridizationType.SP3


def bumped_aromatic(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move an atom of one aromatic ring, with its substituent, by so many Å along the normal of the ring."""
    places = [(ring, i) for ring in _aromatic_rings(mol) for i in _movable(mol, ring)]
    if (place := any_one(places, generator)) is None:
        return None
    ring, atom = place
    x = mol.GetConformer().GetPositions()
    _, normal = plane(x[list(ring)])
    side = beyond(mol, [i for i in ring if i != atom], atom)
    return Defect(with_positions(mol, shifted(x, side, generator.choice([-1, 1]) * by * normal)), (atom,))


def twisted_aromatic(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move two neighbours in an aromatic ring, with their substituents, by so many Å to opposite sides of it."""
    places = [(ring, pair) for ring in _aromatic_rings(mol) for pair in _around(ring)]
    return _lifted_pair(mol, places, (1, -1), by, generator)


def boat_aromatic(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move two opposite atoms of an aromatic ring of six, with their substituents, by so many Å to one side of it."""
    places = [
        (ring, pair) for ring in _aromatic_rings(mol) if len(ring) == 6 for pair in zip(ring[:3], ring[3:], strict=True)
    ]
    return _lifted_pair(mol, places, (1, 1), by, generator)


def alternating_aromatic(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Lengthen and shorten the bonds around an aromatic ring of six carbons in turn, by about so many Å each.

    The atoms slide along the ring in pairs towards each other, with their substituents.
    """
    places = [
        ring
        for ring in _aromatic_rings(mol)
        if len(ring) == 6
        and set(_movable(mol, ring)) == set(ring)
        and all(mol.GetAtomWithIdx(i).GetAtomicNum() == 6 for i in ring)
    ]
    if (ring := any_one(places, generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    moved = x.copy()
    for place, atom in enumerate(ring):
        partner = ring[place + 1 if place % 2 == 0 else place - 1]
        moved[beyond(mol, [i for i in ring if i != atom], atom)] += by / 2 * unit(x[partner] - x[atom])
    return Defect(with_positions(mol, moved), tuple(ring))


def swollen_ring(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Enlarge a ring that shares no atom with others by this fraction of its size; substituents move along."""
    rings = [ring for ring in mol.GetRingInfo().AtomRings() if set(_movable(mol, ring)) == set(ring)]
    if (ring := any_one(rings, generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    centre, moved = x[list(ring)].mean(axis=0), x.copy()
    for atom in ring:
        moved[beyond(mol, [i for i in ring if i != atom], atom)] += by * (x[atom] - centre)
    return Defect(with_positions(mol, moved), tuple(ring))


def shifted_in_ring(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move an atom of a ring, with what it bears, by so many Å in any direction within the plane of the ring."""
    rings = mol.GetRingInfo().AtomRings()
    if (place := any_one([(ring, i) for ring in rings for i in _movable(mol, ring)], generator)) is None:
        return None
    ring, atom = place
    x = mol.GetConformer().GetPositions()
    _, normal = plane(x[list(ring)])
    way = np.cross(normal, generator.normal(size=3))
    side = beyond(mol, [i for i in ring if i != atom], atom)
    return Defect(with_positions(mol, shifted(x, side, by * unit(way))), (atom,))


def tilted_substituent(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Bend what an aromatic ring bears by so many degrees out of its plane."""
    places = []
    for ring in _aromatic_rings(mol):
        for i in _movable(mol, ring):
            near = [a.GetIdx() for a in mol.GetAtomWithIdx(i).GetNeighbors() if a.GetIdx() not in ring]
            places += [(ring, i, a) for a in near if is_heavy(mol, a)]
    if (place := any_one(places, generator)) is None:
        return None
    ring, bearer, first = place
    x = mol.GetConformer().GetPositions()
    _, normal = plane(x[list(ring)])
    axis = np.cross(x[first] - x[bearer], normal)
    side = beyond(mol, [bearer], first)
    return Defect(
        with_positions(mol, turned(x, side, x[bearer], axis, generator.choice([-1, 1]) * by)), (bearer, first)
    )


def flattened_ring(mol: Chem.Mol, fraction: float, generator: np.random.Generator) -> Defect | None:
    """Move the atoms of a saturated ring of six by a fraction of the way to its mean plane; at 1 it is flat.

    The ring is widened so that its bonds keep their mean length, and substituents move along without turning. Rings
    that share atoms with others are left out.
    """
    if (ring := any_one(saturated_rings(mol), generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    centre, normal = plane(x[list(ring)])
    arms = x[list(ring)] - centre
    flatter = arms - fraction * np.outer(arms @ normal, normal)
    flatter *= _circumference(arms) / _circumference(flatter)
    moved = x.copy()
    for atom, step in zip(ring, flatter - arms, strict=True):
        moved[beyond(mol, [i for i in ring if i != atom], atom)] += step
    return Defect(with_positions(mol, moved), tuple(ring))


def saturated_rings(mol: Chem.Mol) -> list[tuple[int, ...]]:
    """List the rings of six saturated atoms that share no atom with another ring, each in its order."""
    rings = mol.GetRingInfo()
    return [
        ring
        for ring in rings.AtomRings()
        if len(ring) == 6
        and all(mol.GetAtomWithIdx(i).GetHybridization() == _SATURATED and rings.NumAtomRings(i) == 1 for i in ring)
    ]


def _lifted_pair(
    mol: Chem.Mol,
    places: Sequence[tuple[Sequence[int], tuple[int, int]]],
    ways: tuple[int, int],
    by: float,
    generator: np.random.Generator,
) -> Defect | None:
    """Move a pair of atoms of a ring, one of those that can be moved, along the normal of the ring."""
    movable = [(ring, pair) for ring, pair in places if set(pair) <= set(_movable(mol, ring))]
    if (place := any_one(movable, generator)) is None:
        return None
    ring, pair = place
    x = mol.GetConformer().GetPositions()
    _, normal = plane(x[list(ring)])
    moved = x.copy()
    for atom, way in zip(pair, ways, strict=True):
        moved[beyond(mol, [i for i in ring if i != atom], atom)] += way * by * normal
    return Defect(with_positions(mol, moved), pair)


def _aromatic_rings(mol: Chem.Mol) -> list[tuple[int, ...]]:
    rings = mol.GetRingInfo().AtomRings()
    return [ring for ring in rings if all(mol.GetAtomWithIdx(i).GetIsAromatic() for i in ring)]


def _movable(mol: Chem.Mol, ring: Sequence[int]) -> list[int]:
    """List the atoms of a ring that are in no other, and whose substituent does not lead back to it."""
    rings = mol.GetRingInfo()
    free = [i for i in ring if rings.NumAtomRings(i) == 1]
    return [i for i in free if all(b.IsInRing() == (b.GetOtherAtomIdx(i) in ring) for b in _bonds(mol, i))]


def _bonds(mol: Chem.Mol, atom: int) -> Sequence[Chem.Bond]:
    return mol.GetAtomWithIdx(atom).GetBonds()


def _around(ring: Sequence[int]) -> list[tuple[int, int]]:
    return list(zip(ring, [*ring[1:], ring[0]], strict=True))


def _circumference(arms: Array) -> float:
    """Length in Å of the way round a ring, (n, 3) Å in its order."""
    return float(np.linalg.norm(arms - np.roll(arms, 1, axis=0), axis=1).sum())
