"""Structures that are a little wrong, whatever the way: what trusted ones are told from when scores are weighed.

Each takes positions (N, 3) Å, the bonds and a generator, and moves atoms at random: it knows no chemistry, so that
what is learned from it is not about a list of defects.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

Array = NDArray[np.float64]

SHIFTS: Final = (0.1, 0.6)  # Å, of one atom or one side of a bond
TILTS: Final = (10.0, 45.0)  # degrees, of one side of a bond about any axis
TURNS: Final = (30.0, 180.0)  # degrees, of one side about the bond itself
SQUEEZES: Final = (0.2, 1.0)  # of the height above the middle
WAVE_LENGTHS: Final = (4.0, 12.0)  # Å
N_WAVES: Final = 3


def moved_atom(mol: Chem.Mol, x: Array, generator: np.random.Generator) -> Array | None:
    """Move one heavier atom and its hydrogens."""
    heavy = [atom for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    if not heavy:
        return None
    atom = heavy[generator.integers(len(heavy))]
    moved = x.copy()
    group = [atom.GetIdx(), *(near.GetIdx() for near in atom.GetNeighbors() if near.GetAtomicNum() == 1)]
    moved[group] += _between(SHIFTS, generator) * _direction(generator)
    return moved


def moved_side(mol: Chem.Mol, x: Array, generator: np.random.Generator) -> Array | None:
    """Move one side of an acyclic bond as a whole."""
    if (cut := _cut(mol, generator)) is None:
        return None
    moved = x.copy()
    moved[cut[2]] += _between(SHIFTS, generator) * _direction(generator)
    return moved


def tilted_side(mol: Chem.Mol, x: Array, generator: np.random.Generator) -> Array | None:
    """Tilt one side of an acyclic bond about the atom that stays."""
    if (cut := _cut(mol, generator)) is None:
        return None
    stays, _, side = cut
    return _turned(x, side, x[stays], _direction(generator), _between(TILTS, generator))


def turned_side(mol: Chem.Mol, x: Array, generator: np.random.Generator) -> Array | None:
    """Turn one side of an acyclic bond about the bond."""
    if (cut := _cut(mol, generator)) is None:
        return None
    stays, carries, side = cut
    if len(side) in (1, len(x) - 1):  # one end is on the axis: nothing turns, or all does
        return None
    axis = x[carries] - x[stays]
    length = float(np.linalg.norm(axis))
    if length < 1e-6:
        return None
    return _turned(x, side, x[stays], axis / length, _between(TURNS, generator))


def squeezed_ring(mol: Chem.Mol, x: Array, generator: np.random.Generator) -> Array | None:
    """Squeeze a ring along some direction; what hangs on its atoms moves along."""
    rings = mol.GetRingInfo().AtomRings()
    if not rings:
        return None
    ring = rings[generator.integers(len(rings))]
    axis, fraction, moved = _direction(generator), _between(SQUEEZES, generator), x.copy()
    heights = (x[list(ring)] - x[list(ring)].mean(axis=0)) @ axis
    for atom, height in zip(ring, heights, strict=True):
        side = _reachable(mol, atom, set(ring) - {atom})
        moved[side] -= fraction * height * axis
    return moved


def warped(mol: Chem.Mol, x: Array, generator: np.random.Generator) -> Array | None:
    """Bend the space that the molecule is in by a few long waves."""
    moved = x.copy()
    for _ in range(N_WAVES):
        wave = 2 * np.pi / _between(WAVE_LENGTHS, generator) * _direction(generator)
        height = _between(SHIFTS, generator) * _direction(generator)
        moved += np.outer(np.sin(x @ wave + generator.uniform(0, 2 * np.pi)), height)
    return moved


PERTURBATIONS: Final[tuple[Callable[[Chem.Mol, Array, np.random.Generator], Array | None], ...]] = (
    moved_atom,
    moved_side,
    tilted_side,
    turned_side,
    squeezed_ring,
    warped,
)


def perturbed(mol: Chem.Mol, family: int, generator: np.random.Generator) -> Chem.Mol | None:
    """Copy a molecule with one conformer, perturbed by one of `PERTURBATIONS`; None where it has no place for it."""
    x = PERTURBATIONS[family](mol, mol.GetConformer().GetPositions(), generator)
    if x is None:
        return None
    copy = Chem.Mol(mol)
    copy.GetConformer().SetPositions(np.ascontiguousarray(x))
    return copy


def _between(limits: tuple[float, float], generator: np.random.Generator) -> float:
    """Draw a size, all orders of magnitude alike."""
    return float(np.exp(generator.uniform(*np.log(limits))))


def _direction(generator: np.random.Generator) -> Array:
    vector = generator.normal(size=3)
    return vector / np.linalg.norm(vector)


def _cut(mol: Chem.Mol, generator: np.random.Generator) -> tuple[int, int, list[int]] | None:
    """Choose an acyclic bond of heavier atoms: the atom that stays, the one that moves, and its side of atoms."""
    pairs = [
        (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())
        for bond in mol.GetBonds()
        if not bond.IsInRing() and min(bond.GetBeginAtom().GetAtomicNum(), bond.GetEndAtom().GetAtomicNum()) > 1
    ]
    if not pairs:
        return None
    stays, carries = pairs[generator.integers(len(pairs))]
    if generator.integers(2):
        stays, carries = carries, stays
    return stays, carries, _reachable(mol, carries, {stays})


def _reachable(mol: Chem.Mol, start: int, barred: set[int]) -> list[int]:
    """Collect the atoms that bonds lead to from one, itself among them, without passing those that are barred."""
    found, ahead = {start}, [start]
    while ahead:
        near = {a.GetIdx() for a in mol.GetAtomWithIdx(ahead.pop()).GetNeighbors()} - found - barred
        found |= near
        ahead += near
    return sorted(found)


def _turned(x: Array, side: list[int], origin: Array, axis: Array, degrees: float) -> Array:
    """Turn some atoms about an axis of length one through an origin: Rodrigues' formula."""
    moved, arms, angle = x.copy(), x[side] - origin, np.radians(degrees)
    along = np.outer(arms @ axis, axis)
    moved[side] = origin + along + np.cos(angle) * (arms - along) + np.sin(angle) * np.cross(axis, arms)
    return moved
