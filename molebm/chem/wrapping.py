"""Molecules that a periodic box has cut, made whole along their bonds."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Final

import numpy as np

_SMALLEST_BOX: Final = 6.0  # Å across, twice the longest bond; a smaller one stands in files for none

Steps = list[tuple[int, int]]
"""From an atom that is placed to the next, each atom once."""


def steps_along(n_atoms: int, bonds: Iterable[tuple[int, int]]) -> Steps:
    """Order the bonds of a spanning tree of each fragment outwards from its first atom."""
    near: list[list[int]] = [[] for _ in range(n_atoms)]
    for a, b in bonds:
        near[a].append(b)
        near[b].append(a)
    steps: Steps = []
    seen = [False] * n_atoms
    for start in range(n_atoms):
        waiting = deque([] if seen[start] else [start])
        seen[start] = True
        while waiting:
            here = waiting.popleft()
            for there in near[here]:
                if not seen[there]:
                    seen[there] = True
                    steps.append((here, there))
                    waiting.append(there)
    return steps


def steps_between_nearest(positions: np.ndarray, cell: np.ndarray | None) -> Steps:
    """Order the steps of the shortest tree that joins all atoms, (n, 3) Å, by the nearest images of each two.

    For atoms of one molecule whose bonds are not known; their tree is among the bonds. It is found as by Prim,
    Bell System Technical Journal 36, 1389 (1957).
    """
    steps: Steps = []
    placed = np.zeros(len(positions), dtype=bool)
    shortest = np.full(len(positions), np.inf)
    parent = np.zeros(len(positions), dtype=int)
    here = 0
    for _ in range(len(positions) - 1):
        placed[here] = True
        difference = positions - positions[here]
        distance = np.linalg.norm(difference + _jumps(difference, cell), axis=1)
        closer = (distance < shortest) & ~placed
        shortest[closer], parent[closer] = distance[closer], here
        here = int(np.where(placed, np.inf, shortest).argmin())
        steps.append((int(parent[here]), here))
    return steps


def made_whole(positions: np.ndarray, cell: np.ndarray | None, steps: Steps) -> np.ndarray:
    """Move atoms by whole box vectors, so that each is at the nearest image from the one before it.

    Bonds must be shorter than half the box. Where none is cut, and where a box is no box, the positions
    (n, 3) Å are those given; what is not finite stays so, and moves nothing.
    """
    if not steps:
        return positions
    before, after = np.array(steps).T
    with np.errstate(invalid="ignore", over="ignore"):
        jumps = _jumps(positions[after] - positions[before], cell)
    if not jumps.any():
        return positions
    shifts = np.zeros_like(positions)
    for (here, there), jump in zip(steps, jumps, strict=True):
        shifts[there] = shifts[here] + jump
    return positions + shifts


def _jumps(differences: np.ndarray, cell: np.ndarray | None) -> np.ndarray:
    """Return the box vectors, summed, that bring each difference to its nearest image; zero where none does."""
    if cell is None or not np.isfinite(cell).all() or abs(np.linalg.det(cell)) < 1.0:
        return np.zeros_like(differences)
    inverse = np.linalg.inv(cell)
    if 1 / np.linalg.norm(inverse, axis=0).max() < _SMALLEST_BOX:
        return np.zeros_like(differences)
    with np.errstate(invalid="ignore", over="ignore"):
        images = np.round(differences @ inverse)
    finite = np.isfinite(differences).all(axis=-1, keepdims=True)
    return np.where(finite, -images, 0.0) @ cell
