"""Change one internal coordinate of a molecule and keep all others, as defects of structures are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.plausibility import displacements

Array = NDArray[np.float64]
Place = TypeVar("Place")

PARALLEL = 1e-3  # sine of the angle below which two directions span no plane


class Defect(NamedTuple):
    """A copy of a molecule with one thing wrong, and where."""

    mol: Chem.Mol
    atoms: tuple[int, ...]  # of the copy, those the defect is about


def any_one(places: Sequence[Place], generator: np.random.Generator) -> Place | None:
    """Choose one of the places, each with the same chance."""
    return places[int(generator.integers(len(places)))] if places else None


def with_positions(mol: Chem.Mol, x: Array) -> Chem.Mol:
    """Copy a molecule, with its tags and data fields, to other coordinates, (N, 3) Å."""
    copy = Chem.Mol(mol)
    copy.GetConformer().SetPositions(np.ascontiguousarray(x))
    return copy


def directed_bonds(mol: Chem.Mol) -> list[tuple[int, int]]:
    """List every bond outside rings, both ways."""
    bonds = [b for b in mol.GetBonds() if not b.IsInRing()]
    pairs = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in bonds]
    return pairs + [pair[::-1] for pair in pairs]


def is_heavy(mol: Chem.Mol, *atoms: int) -> bool:
    """Tell whether none of the atoms is a hydrogen."""
    return all(mol.GetAtomWithIdx(i).GetAtomicNum() > 1 for i in atoms)


def beyond(mol: Chem.Mol, stay: Iterable[int], start: int) -> list[int]:
    """Return the atoms that are reached from one atom, itself among them, without passing those that stay."""
    found, ahead = {start}, [start]
    fixed = set(stay)
    while ahead:
        near = {a.GetIdx() for a in mol.GetAtomWithIdx(ahead.pop()).GetNeighbors()} - found - fixed
        found |= near
        ahead += near
    return sorted(found)


def shifted(x: Array, side: Sequence[int], by: Array) -> Array:
    """Move one side of a molecule by a vector in Å, or the rest by its opposite where that is fewer atoms."""
    moved = x.copy()
    atoms, sign = _smaller(side, len(x))
    moved[atoms] += sign * by
    return moved


def turned(x: Array, side: Sequence[int], origin: Array, axis: Array, degrees: float) -> Array:
    """Turn one side right-handedly about an axis, or the rest the other way where that is fewer atoms."""
    atoms, sign = _smaller(side, len(x))
    return displacements.turned(x, np.array(atoms), origin, axis, sign * degrees)


def opened(
    x: Array, angle: tuple[int, int, int], side: Sequence[int], degrees: float, generator: np.random.Generator
) -> Array:
    """Turn the side of the third atom about the second so that the angle grows by so many degrees.

    It turns in the plane of the angle, and in a random plane where the atoms are on one line.
    """
    first, centre, last = x[list(angle)]
    u, v = unit(first - centre), unit(last - centre)
    normal = np.cross(u, v)
    if np.linalg.norm(normal) < PARALLEL:
        normal = np.cross(u, generator.normal(size=3))
    return turned(x, side, centre, normal, degrees)


def angle_degrees(x: Array, i: int, j: int, k: int) -> float:
    """Angle at the second atom, 0 to 180 degrees."""
    u, v = unit(x[i] - x[j]), unit(x[k] - x[j])
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(u, v)), u @ v)))


def torsion_degrees(x: Array, i: int, j: int, k: int, m: int) -> float:
    """Torsion about the bond of the second and third atom, -180 to 180 degrees; the IUPAC sign."""
    axis = unit(x[k] - x[j])
    first, last = np.cross(x[j] - x[i], axis), np.cross(axis, x[m] - x[k])
    return float(np.degrees(np.arctan2(np.cross(first, last) @ axis, first @ last)))


def plane(x: Array) -> tuple[Array, Array]:
    """Centre and unit normal of the plane nearest to points, (n, 3) Å."""
    centre = x.mean(axis=0)
    return centre, np.linalg.svd(x - centre)[2][2]


def unit(vector: Array) -> Array:
    """Return the direction of a vector."""
    return vector / np.linalg.norm(vector)


def _smaller(side: Sequence[int], n_atoms: int) -> tuple[list[int], int]:
    """Return the side and 1, or the rest of the molecule and -1."""
    if 2 * len(side) <= n_atoms:
        return list(side), 1
    return sorted(set(range(n_atoms)) - set(side)), -1
