"""Structures that are wrong for certain: trusted ones of which a part has been moved, as negatives to learn from.

Nothing here knows what makes a structure plausible. Atoms, groups, sides of bonds, rings and all of space are moved at
random, by little and by much.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Final

import numpy as np

from molebm.plausibility.displacements import (
    Positions,
    any_of,
    between,
    direction,
    heights,
    length,
    lifted,
    shifted,
    sign,
    turned,
)
from molebm.plausibility.parts import Parts

REACH: Final = 1.5  # Å, over which a push fades
FLAT: Final = 0.1  # Å, that atoms of a ring are off its plane at least, for it to be pressed


def perturbations(
    x: Positions, parts: Parts, number: int, generator: np.random.Generator
) -> Iterator[tuple[int, Positions]]:
    """Make each of the `MOVES` so many times, one at a time, where it finds a place, and number it."""
    for _ in range(number):
        for kind, move in enumerate(MOVES):
            moved = move(x, parts, generator)
            if moved is not None:
                yield kind, moved


def _shaken(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions:
    """Add noise to all coordinates."""
    return x + between(0.015, 0.15, generator) * generator.normal(size=x.shape)


def _group_moved(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Move one heavier atom with its hydrogens."""
    if not parts.groups:
        return None
    return shifted(x, any_of(parts.groups, generator), between(0.06, 0.6, generator), generator)


def _pushed(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions:
    """Push a place, and less what is further away."""
    distance = np.linalg.norm(x - x[int(generator.integers(len(x)))], axis=1)
    push = between(0.1, 0.8, generator) * direction(generator)
    return x + np.exp(-((distance / REACH) ** 2))[:, None] * push


def _side_moved(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Move one side of a bond."""
    if not parts.sides:
        return None
    return shifted(x, any_of(parts.sides, generator)[2], between(0.06, 0.5, generator), generator)


def _side_drawn(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Move one side along its bond."""
    if not parts.sides:
        return None
    stays, moves, atoms = any_of(parts.sides, generator)
    along = (x[moves] - x[stays]) / length(x[moves] - x[stays])
    moved = x.copy()
    moved[atoms] += sign(generator) * between(0.06, 0.5, generator) * along
    return moved


def _side_tilted(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Turn one side of a bond about any axis through the atom that stays."""
    if not parts.sides:
        return None
    stays, _, atoms = any_of(parts.sides, generator)
    return turned(x, atoms, x[stays], direction(generator), between(8, 40, generator))


def _side_turned(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Turn one side of a bond about the bond."""
    if not parts.sides:
        return None
    stays, moves, atoms = any_of(parts.sides, generator)
    return turned(x, atoms, x[stays], x[moves] - x[stays], generator.uniform(20, 180) * sign(generator))


def _bond_tilted(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Turn what is beyond a bond about any axis through the atom that moves, which stays where it is."""
    if not parts.sides:
        return None
    _, moves, atoms = any_of(parts.sides, generator)
    if len(atoms) < 2:
        return None
    return turned(x, atoms, x[moves], direction(generator), between(8, 40, generator))


def _centre_pressed(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Move an atom of three neighbours or more across the plane of three of them, and its other neighbours with it."""
    if not parts.centres:
        return None
    centre, corners, others = any_of(parts.centres, generator)
    normal = np.cross(x[corners[1]] - x[corners[0]], x[corners[2]] - x[corners[0]])
    moved = x.copy()
    step = sign(generator) * between(0.08, 0.5, generator)
    moved[[centre, *others]] += step * normal / length(normal)
    return moved


def _sides_tilted(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Turn all sides that hang from one atom about it, each about an axis of its own."""
    if not parts.hanging:
        return None
    centre, sides = any_of(parts.hanging, generator)
    size, moved = between(5, 25, generator), x
    for atoms in sides:
        moved = turned(moved, atoms, x[centre], direction(generator), size)
    return moved


def _swollen(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions:
    """Swell or shrink the surroundings of an atom."""
    arms = x - x[int(generator.integers(len(x)))]
    fades = np.exp(-((np.linalg.norm(arms, axis=1) / REACH) ** 2))
    return x + sign(generator) * between(0.04, 0.4, generator) * fades[:, None] * arms


def _ring_pressed(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Press a ring that is not flat flatter, or draw it apart, across its plane."""
    puckered = [ring for ring in parts.rings if np.abs(heights(x, ring)[0]).max() > FLAT]
    if not puckered:
        return None
    ring = any_of(puckered, generator)
    height, normal = heights(x, ring)
    factor = generator.choice([generator.uniform(-1, -0.3), generator.uniform(0.3, 1)])
    return lifted(x, ring, factor * height, normal)


def _ring_bent(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Move the atoms of a ring up and down."""
    if not parts.rings:
        return None
    ring = any_of(parts.rings, generator)
    _, normal = heights(x, ring)
    return lifted(x, ring, between(0.06, 0.4, generator) * generator.normal(size=len(ring)), normal)


def _ring_strained(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Move the atoms of a ring within its plane, from its middle or each its own way."""
    if not parts.rings:
        return None
    ring = any_of(parts.rings, generator)
    arms = x[[group[0] for group in ring]]
    arms = arms - arms.mean(axis=0)
    _, normal = heights(x, ring)
    ways = arms if generator.random() < 0.5 else generator.normal(size=arms.shape)
    steps = sign(generator) * between(0.02, 0.2, generator) * (ways - np.outer(ways @ normal, normal))
    moved = x.copy()
    for group, step in zip(ring, steps, strict=True):
        moved[group] += step
    return moved


def _corner_moved(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Move one atom of a ring with what it bears."""
    if not parts.corners:
        return None
    return shifted(x, any_of(parts.corners, generator), between(0.06, 0.5, generator), generator)


def _ring_flapped(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Fold an atom of a ring, with what it bears, about the line between its neighbours in it."""
    if not parts.rings:
        return None
    ring = any_of(parts.rings, generator)
    place = int(generator.integers(len(ring)))
    before, after = x[ring[place - 1][0]], x[ring[(place + 1) % len(ring)][0]]
    return turned(x, ring[place], before, after - before, sign(generator) * between(15, 120, generator))


def _warped(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions:
    """Stretch and shear space, or only stretch it."""
    strain = between(0.01, 0.08, generator) * generator.normal(size=(3, 3))
    if generator.random() < 0.5:
        strain = np.eye(3) * strain[0, 0]
    return x + x @ (strain + strain.T) / 2


def _hydrogen_moved(x: Positions, parts: Parts, generator: np.random.Generator) -> Positions | None:
    """Move one hydrogen along its bond or anywhere."""
    if not parts.bonded:
        return None
    hydrogen, bearer = any_of(parts.bonded, generator)
    moved = x.copy()
    along = x[hydrogen] - x[bearer]
    away = along / length(along) if generator.random() < 0.5 else direction(generator)
    moved[hydrogen] += sign(generator) * between(0.08, 0.6, generator) * away
    return moved


Move = Callable[[Positions, Parts, np.random.Generator], Positions | None]
MOVES: Final[tuple[Move, ...]] = (
    _shaken,
    _group_moved,
    _pushed,
    _side_moved,
    _side_drawn,
    _side_tilted,
    _sides_tilted,
    _bond_tilted,
    _side_turned,
    _centre_pressed,
    _swollen,
    _ring_pressed,
    _ring_bent,
    _ring_strained,
    _corner_moved,
    _ring_flapped,
    _warped,
    _hydrogen_moved,
)
