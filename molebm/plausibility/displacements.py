"""Atoms shifted, turned and lifted, and the sizes, directions and places that chance draws for that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Positions = NDArray[np.float64]  # (N, 3) Å
Place = TypeVar("Place")

LEAST_LENGTH: Final = 1e-3  # Å, of what gives a direction


def heights(x: Positions, ring: list[NDArray[np.int64]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Heights of the atoms of a ring over its mean plane in Å, and the normal of the plane."""
    arms = x[[group[0] for group in ring]]
    arms = arms - arms.mean(axis=0)
    normal = np.linalg.svd(arms)[2][2]
    return arms @ normal, normal


def lifted(
    x: Positions, ring: list[NDArray[np.int64]], by: NDArray[np.float64], normal: NDArray[np.float64]
) -> Positions:
    """Move the atoms of a ring, with what they bear, by so many Å each along its normal."""
    moved = x.copy()
    for group, height in zip(ring, by, strict=True):
        moved[group] += height * normal
    return moved


def shifted(x: Positions, atoms: NDArray[np.int64], by: float, generator: np.random.Generator) -> Positions:
    """Move atoms by so many Å in any direction."""
    moved = x.copy()
    moved[atoms] += by * direction(generator)
    return moved


def turned(
    x: Positions, atoms: NDArray[np.int64], origin: NDArray[np.float64], axis: NDArray[np.float64], degrees: float
) -> Positions:
    """Turn atoms about an axis, by the formula of Rodrigues."""
    u = axis / length(axis)
    arms, angle = x[atoms] - origin, np.radians(degrees)
    along = np.outer(arms @ u, u)
    moved = x.copy()
    moved[atoms] = origin + along + np.cos(angle) * (arms - along) + np.sin(angle) * np.cross(u, arms)
    return moved


def length(vector: NDArray[np.float64]) -> float:
    """Return the length of a vector in Å, never too little to divide by."""
    return max(float(np.linalg.norm(vector)), LEAST_LENGTH)


def between(low: float, high: float, generator: np.random.Generator) -> float:
    """Draw a size, log-uniformly."""
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def direction(generator: np.random.Generator) -> NDArray[np.float64]:
    """Draw a direction."""
    vector = generator.normal(size=3)
    return vector / np.linalg.norm(vector)


def sign(generator: np.random.Generator) -> float:
    """Draw 1 or -1."""
    return float(generator.choice([-1, 1]))


def any_of(places: Sequence[Place], generator: np.random.Generator) -> Place:
    """Draw one of some places."""
    return places[int(generator.integers(len(places)))]
