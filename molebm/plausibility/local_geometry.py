"""Bonds, angles, planes and rings of heavier atoms, held against the same structure relaxed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

import torch
from torch import Tensor

from molebm.forcefield import geometry
from molebm.plausibility.environments import HYDROGEN, AtomTypes, key, unordered
from molebm.plausibility.observations import (
    ANGLE,
    BOND,
    CONJUGATED,
    FLAT,
    PLANE,
    RING,
    RING_ANGLE,
    RING_BOND,
    STIFF,
    Kind,
    Observations,
    wrapped,
)
from molebm.samplers.bond_graph import AROMATIC, DOUBLE, SINGLE
from molebm.topology import Topology

_DEGREES: Final = 180 / math.pi
_NEAR_PLANAR: Final = (STIFF, FLAT, CONJUGATED)


def local_geometry(topology: Topology, types: AtomTypes, placed: Tensor, settled: Tensor) -> Iterator[Observations]:
    """Compare positions (3, N, C) Å with where a tethered relaxation brings them."""
    heavy = topology.atomic_numbers != HYDROGEN
    order, conjugated, ring = topology.bond_features

    def compare(kind: Kind, atoms: Tensor, keys: list[Tensor], measure: Callable[[Tensor], Tensor]) -> Observations:
        given, expected = measure(placed), measure(settled)
        if kind in _NEAR_PLANAR:  # a tether may hold what is twisted
            expected = torch.where(given.abs() < 90, 0.0, 180 * given.sign())
        off = given - expected
        deviation = wrapped(off) if kind in (*_NEAR_PLANAR, RING) else off
        return Observations(kind, atoms, topology.molecule[atoms[0]], torch.stack(keys), given, expected, deviation)

    within = heavy[topology.bonds].all(0)
    for kind, wanted in ((BOND, ring == 0), (RING_BOND, ring > 0)):
        chosen = within & wanted
        atoms, kinds = topology.bonds[:, chosen], (order[chosen], (ring[chosen] > 0).long())
        yield compare(
            kind,
            atoms,
            [
                key(1, *kinds),
                key(2, *kinds, *unordered(*types.coarse[atoms])),
                key(3, *kinds, *unordered(*types.fine[atoms])),
            ],
            partial(_length, atoms),
        )

    within = heavy[topology.angles].all(0)
    sides = ring[topology.angle_bonds]
    size = torch.where((sides > 0).all(0), sides.amin(0), 0)
    for kind, wanted in ((ANGLE, size == 0), (RING_ANGLE, size > 0)):
        angles, inside = topology.angles[:, within & wanted], size[within & wanted]
        first, centre, last = angles
        yield compare(
            kind,
            angles,
            [
                key(4, inside, types.coarse[centre]),
                key(5, inside, types.coarse[centre], *unordered(types.element[first], types.element[last])),
                key(6, inside, types.fine[centre], *unordered(types.coarse[first], types.coarse[last])),
            ],
            partial(_angle_degrees, angles),
        )

    impropers = topology.impropers[:, heavy[topology.impropers].all(0)]
    centre = impropers[1]
    yield compare(
        PLANE,
        impropers,
        [key(7, types.coarse[centre]), key(8, types.fine[centre])],
        lambda x: _DEGREES * torch.stack(geometry.sin_wilson(x, impropers)).mean(0).clamp(-1, 1).asin(),
    )

    middle = topology.torsion_bonds[1]
    all_heavy = heavy[topology.torsions].all(0)
    stiff = ((order == DOUBLE) | (order == AROMATIC))[middle]
    in_ring = (ring > 0)[middle]
    single = (order == SINGLE)[middle]
    puckers = single & (ring > 0)[topology.torsion_bonds].all(0)
    delocalised = single & (conjugated == 1)[middle] & ~in_ring
    for kind, number, wanted in (
        (STIFF, 9, stiff & ~in_ring),
        (FLAT, 9, stiff & in_ring),
        (CONJUGATED, 13, delocalised),
        (RING, 11, puckers),
    ):
        torsions = topology.torsions[:, all_heavy & wanted]
        bond = middle[all_heavy & wanted]
        ends = unordered(*types.coarse[torsions[1:3]])
        yield compare(
            kind,
            torsions,
            [
                key(number, order[bond], ring[bond]),
                key(number + 1, order[bond], ring[bond], *ends),
                *([key(15, *unordered(*types.fine[torsions[1:3]]))] if kind is CONJUGATED else []),
            ],
            partial(_torsion_degrees, torsions),
        )


def _length(bonds: Tensor, positions: Tensor) -> Tensor:
    return geometry.distance(positions, *bonds)


def _angle_degrees(angles: Tensor, positions: Tensor) -> Tensor:
    return _DEGREES * geometry.angle_from_cos(geometry.cos_angle(positions, angles))


def _torsion_degrees(torsions: Tensor, positions: Tensor) -> Tensor:
    return _DEGREES * geometry.torsion_angle(positions, torsions)
