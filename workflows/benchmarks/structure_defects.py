"""Defects of bonds and angles, and of the coordinates of all atoms; see `defect_kinds`."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rigid_moves import (
    Defect,
    angle_degrees,
    any_one,
    beyond,
    directed_bonds,
    is_heavy,
    opened,
    plane,
    shifted,
    turned,
    unit,
    with_positions,
)

LEAST_ANGLE, LARGEST_ANGLE = 60.0, 165.0  # degrees; no angle is bent from or to beyond these


def noise(mol: Chem.Mol, sigma: float, generator: np.random.Generator) -> Defect | None:
    """Add Gaussian noise of this standard deviation in Å to every coordinate."""
    x = mol.GetConformer().GetPositions()
    return Defect(with_positions(mol, x + sigma * generator.normal(size=x.shape)), tuple(range(len(x))))


def scaled(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Enlarge the molecule (or shrink it, below 0) about its centre by this fraction of its size."""
    x = mol.GetConformer().GetPositions()
    centre = x.mean(axis=0)
    return Defect(with_positions(mol, centre + (1 + by) * (x - centre)), tuple(range(len(x))))


def squashed(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Make the molecule flatter by this fraction, along its shortest axis."""
    x = mol.GetConformer().GetPositions()
    centre, normal = plane(x)
    return Defect(with_positions(mol, x - by * np.outer((x - centre) @ normal, normal)), tuple(range(len(x))))


def sheared(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move every atom along one axis by this fraction of how far it is along another, both at random."""
    x = mol.GetConformer().GetPositions()
    along = unit(generator.normal(size=3))
    across = unit(np.cross(along, generator.normal(size=3)))
    return Defect(with_positions(mol, x + by * np.outer((x - x.mean(axis=0)) @ across, along)), tuple(range(len(x))))


def displaced_side(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Move one side of a bond outside rings, between atoms other than hydrogen, by so many Å at right angles to it."""
    if (pair := any_one([p for p in directed_bonds(mol) if is_heavy(mol, *p)], generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    stay, move = pair
    way = unit(np.cross(x[move] - x[stay], generator.normal(size=3)))
    return Defect(with_positions(mol, shifted(x, beyond(mol, [stay], move), by * way)), pair)


def tilted_hydrogen(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Turn a hydrogen by so many degrees about the atom that bears it, in any direction."""
    found = [(i, h) for i, h in directed_bonds(mol) if is_heavy(mol, i) and not is_heavy(mol, h)]
    if (pair := any_one(found, generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    bearer, hydrogen = pair
    axis = np.cross(x[hydrogen] - x[bearer], generator.normal(size=3))
    return Defect(with_positions(mol, turned(x, [hydrogen], x[bearer], axis, by)), pair)


def stretched_bond(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Lengthen (or shorten, below 0) by so many Å a bond outside rings between atoms other than hydrogen."""
    return _stretched(mol, [p for p in directed_bonds(mol) if is_heavy(mol, *p)], by, generator)


def stretched_hydrogen(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Lengthen (or shorten, below 0) by so many Å the bond of a hydrogen to a heavier atom."""
    pairs = directed_bonds(mol)
    return _stretched(mol, [(i, h) for i, h in pairs if is_heavy(mol, i) and not is_heavy(mol, h)], by, generator)


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
            now = angle_degrees(x, i, j, k) if i != k and is_heavy(mol, i, j, k) else 0.0
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
            places += [
                (a.GetIdx(), j, k) for a in centre.GetNeighbors() if a.GetIdx() != k and is_heavy(mol, a.GetIdx())
            ]
    if (angle := any_one(places, generator)) is None:
        return None
    change = 180 - by - angle_degrees(x, *angle)
    side = beyond(mol, [angle[1]], angle[2])
    return Defect(with_positions(mol, opened(x, angle, side, change, generator)), angle)


def _stretched(
    mol: Chem.Mol, places: list[tuple[int, int]], by: float, generator: np.random.Generator
) -> Defect | None:
    if (pair := any_one(places, generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    stay, move = pair
    moved = shifted(x, beyond(mol, [stay], move), by * unit(x[move] - x[stay]))
    return Defect(with_positions(mol, moved), pair)
