"""Structures with one known defect, from good ones: what a score of structures should find, and where.

Each function takes a molecule with explicit hydrogens and one conformer, a severity and a generator, which chooses
the place, and returns a `Defect`, or None where the molecule has no place for it. What is given is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from graph_defects import inverted_centre, mirror_image, missing_hydrogen, wrong_bond_order
from rdkit import Chem
from rigid_moves import (
    Array,
    Defect,
    angle_degrees,
    any_one,
    beyond,
    directed_bonds,
    opened,
    plane,
    shifted,
    unit,
    with_positions,
)
from torsion_defects import cis_amide, close_contact, eclipsed_torsion

LEAST_ANGLE, LARGEST_ANGLE = 60.0, 165.0  # degrees; no angle is bent from or to beyond these
_SATURATED: Final = Chem.HybridizationType.SP3


def noise(mol: Chem.Mol, sigma: float, generator: np.random.Generator) -> Defect | None:
    """Add Gaussian noise of this standard deviation in Å to every coordinate."""
    x = mol.GetConformer().GetPositions()
    return Defect(with_positions(mol, x + sigma * generator.normal(size=x.shape)), tuple(range(len(x))))


def stretched_bond(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Lengthen (or shorten, below 0) by so many Å a bond outside rings between atoms other than hydrogen."""
    return _stretched(mol, [p for p in directed_bonds(mol) if _heavy(mol, *p)], by, generator)


def stretched_hydrogen(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Lengthen (or shorten, below 0) by so many Å the bond of a hydrogen to a heavier atom."""
    pairs = directed_bonds(mol)
    return _stretched(mol, [(i, h) for i, h in pairs if _heavy(mol, i) and not _heavy(mol, h)], by, generator)


def bent_angle(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Open (or close, below 0) by so many degrees an angle of three atoms other than hydrogen.

    The last bond of the angle is outside rings; its side turns about the atom in the middle, in the plane of the
    angle, so that only angles at that atom with that bond change.
    """
    x = mol.GetConformer().GetPositions()
    places = []
    for j, k in directed_bonds(mol):
        for first in mol.GetAtomWithIdx(j).GetNeighbors():
            i = first.GetIdx()
            now = angle_degrees(x, i, j, k) if i != k and _heavy(mol, i, j, k) else 0.0
            if min(now, now + by) >= LEAST_ANGLE and max(now, now + by) <= LARGEST_ANGLE:
                places.append((i, j, k))
    if (angle := any_one(places, generator)) is None:
        return None
    side = beyond(mol, [angle[1]], angle[2])
    return Defect(with_positions(mol, opened(x, angle, side, by, generator)), angle)


def bent_triple_bond(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Bend an alkyne or nitrile outside rings to 180 degrees less so many, at a carbon of its triple bond."""
    x = mol.GetConformer().GetPositions()
    places = []
    for j, k in directed_bonds(mol):
        centre, triple = mol.GetAtomWithIdx(j), mol.GetBondBetweenAtoms(j, k).GetBondType() == Chem.BondType.TRIPLE
        if triple and centre.GetAtomicNum() == 6:
            places += [(a.GetIdx(), j, k) for a in centre.GetNeighbors() if a.GetIdx() != k and _heavy(mol, a.GetIdx())]
    if (angle := any_one(places, generator)) is None:
        return None
    change = 180 - by - angle_degrees(x, *angle)
    side = beyond(mol, [angle[1]], angle[2])
    return Defect(with_positions(mol, opened(x, angle, side, change, generator)), angle)


def bumped_aromatic(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move an atom of one aromatic ring, with its substituent, by so many Å along the normal of the ring."""
    x = mol.GetConformer().GetPositions()
    places = []
    for ring in mol.GetRingInfo().AtomRings():
        if all(mol.GetAtomWithIdx(i).GetIsAromatic() for i in ring):
            places += [
                (ring, i, near.GetIdx())
                for i in ring
                for near in mol.GetAtomWithIdx(i).GetNeighbors()
                if not mol.GetBondBetweenAtoms(i, near.GetIdx()).IsInRing()
            ]
    if (place := any_one(places, generator)) is None:
        return None
    ring, atom, substituent = place
    _, normal = plane(x[list(ring)])
    side = [atom, *beyond(mol, [atom], substituent)]
    return Defect(with_positions(mol, shifted(x, side, generator.choice([-1, 1]) * by * normal)), (atom, substituent))


def flattened_ring(mol: Chem.Mol, fraction: float, generator: np.random.Generator) -> Defect | None:
    """Move the atoms of a saturated ring of six by a fraction of the way to its mean plane; at 1 it is flat.

    The ring is widened so that its bonds keep their mean length, and substituents move along without turning. Rings
    that share atoms with others are left out.
    """
    x = mol.GetConformer().GetPositions()
    rings = mol.GetRingInfo()
    places = [
        ring
        for ring in rings.AtomRings()
        if len(ring) == 6
        and all(mol.GetAtomWithIdx(i).GetHybridization() == _SATURATED and rings.NumAtomRings(i) == 1 for i in ring)
    ]
    if (ring := any_one(places, generator)) is None:
        return None
    centre, normal = plane(x[list(ring)])
    arms = x[list(ring)] - centre
    flatter = arms - fraction * np.outer(arms @ normal, normal)
    flatter *= _circumference(arms) / _circumference(flatter)
    moved = x.copy()
    for atom, step in zip(ring, flatter - arms, strict=True):
        moved[beyond(mol, [i for i in ring if i != atom], atom)] += step
    return Defect(with_positions(mol, moved), tuple(ring))


class Kind(NamedTuple):
    """A function that makes one kind of defect, and the severities to make it with."""

    name: str
    make: Callable[[Chem.Mol, float, np.random.Generator], Defect | None]
    severities: tuple[float, ...]
    unit: str  # of the severities; empty where they have no meaning


KINDS: Final = (
    Kind("noise", noise, (0.02, 0.05, 0.1, 0.2, 0.3), "Å"),
    Kind("bond", stretched_bond, (-0.3, -0.2, -0.1, -0.05, 0.05, 0.1, 0.2, 0.3), "Å"),
    Kind("X-H bond", stretched_hydrogen, (-0.2, -0.1, 0.1, 0.2, 0.4), "Å"),
    Kind("angle", bent_angle, (-30, -20, -10, 10, 20, 30), "degrees"),
    Kind("triple bond", bent_triple_bond, (10, 20, 40), "degrees"),
    Kind("aromatic atom", bumped_aromatic, (0.1, 0.2, 0.4, 0.6), "Å"),
    Kind("saturated ring", flattened_ring, (0.5, 1), "fraction"),
    Kind("cis amide", cis_amide, (180,), "degrees"),
    Kind("eclipsed torsion", eclipsed_torsion, (0.5, 1), "fraction"),
    Kind("contact", close_contact, (0.8, 0.7, 0.6, 0.5), "of the radii"),
    Kind("inverted centre", inverted_centre, (1,), ""),
    Kind("mirror image", mirror_image, (1,), ""),
    Kind("bond order", wrong_bond_order, (-1, 1), "order"),
    Kind("missing hydrogen", missing_hydrogen, (1,), "atoms"),
)


def _stretched(
    mol: Chem.Mol, places: list[tuple[int, int]], by: float, generator: np.random.Generator
) -> Defect | None:
    if (pair := any_one(places, generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    stay, move = pair
    moved = shifted(x, beyond(mol, [stay], move), by * unit(x[move] - x[stay]))
    return Defect(with_positions(mol, moved), pair)


def _circumference(arms: Array) -> float:
    """Length in Å of the way round a ring, (n, 3) Å in its order."""
    return float(np.linalg.norm(arms - np.roll(arms, 1, axis=0), axis=1).sum())


def _heavy(mol: Chem.Mol, *atoms: int) -> bool:
    return all(mol.GetAtomWithIdx(i).GetAtomicNum() > 1 for i in atoms)
