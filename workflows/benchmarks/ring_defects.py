"""Defects of the shape of rings: atoms out of the plane of aromatic ones, and saturated ones that are flat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from rdkit import Chem
from rigid_moves import Array, Defect, any_one, beyond, plane, shifted, with_positions

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
    places = []
    for ring in _aromatic_rings(mol):
        movable = set(_movable(mol, ring))
        places += [(ring, i, j) for i, j in _around(ring) if {i, j} <= movable]
    if (place := any_one(places, generator)) is None:
        return None
    ring, *pair = place
    x = mol.GetConformer().GetPositions()
    _, normal = plane(x[list(ring)])
    moved = x.copy()
    for atom, way in zip(pair, (1, -1), strict=True):
        moved[beyond(mol, [i for i in ring if i != atom], atom)] += way * by * normal
    return Defect(with_positions(mol, moved), tuple(pair))


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
