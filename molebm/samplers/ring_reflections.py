r"""Ring atoms reflected in a plane, their substituents carried along: what the moves of rings are made of.

Both halves of such a move keep volumes, so the determinant of its Jacobian is ±1; and done twice it undoes
itself, so it may be tried with a plain Metropolis test:

* The ring atoms. If the plane is that of atoms that stay, the map of the others is a mirror. If it is the mean
  plane of the whole ring, it turns and shifts with the ring. The map then is a mirror in space, which keeps
  volumes, followed by a turn and a shift that depend on the ring's shape alone when seen from the ring itself.
  These keep volumes because the measure of turns is invariant from the right as well as from the left.
* The substituents. A mirror would invert their chirality, so they follow instead a right-handed frame spanned
  by their ring atom and its two neighbours in the ring. Given the ring, each moves as a rigid body.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.forcefield.geometry import cross, norm
from molebm.samplers.bond_graph import Graph, atoms_within_molecules, reachable
from molebm.samplers.metropolis import MoveInfo, Proposal, choose, metropolis
from molebm.samplers.sampler import Sampler, State
from molebm.topology import Topology

Weights = list[list[float]]
"""A point and two vectors, (3, n), as weights over the n atoms of a ring; those of a vector sum to 0."""


class Reflection(NamedTuple):
    """One move of one ring."""

    ring: tuple[int, ...]
    plane: Weights
    mirrored: Collection[int]  # places in the ring of the atoms that are reflected
    bodies: Sequence[tuple[Weights, Collection[int]]]  # frames, and the atoms that follow each


class Reflections(NamedTuple):
    """R moves, and after them a row that moves nothing, for molecules without any.

    The largest ring has n atoms, the largest molecule A, and a move carries at most K rigid bodies.
    """

    molecule: Tensor  # (R,) int64, sorted
    ring: Tensor  # (R + 1, n) int64
    plane: Tensor  # (R + 1, 3, n) weights
    mirrored: Tensor  # (R + 1, n) bool
    frames: Tensor  # (R + 1, K, 3, n) weights
    body: Tensor  # (R + 1, A) int64, which frame each atom follows, -1 if it stays
    within: Tensor  # (N,) int64, the number of each atom within its molecule


def tabulate(topology: Topology, moves: Sequence[Reflection]) -> Reflections:
    """Lay moves out as tensors, those of one molecule together."""
    molecule, within = topology.molecule.tolist(), atoms_within_molecules(topology)
    moves = sorted(moves, key=lambda move: molecule[move.ring[0]])
    rows, n = len(moves) + 1, max((len(move.ring) for move in moves), default=1)
    n_bodies = max((len(move.bodies) for move in moves), default=1)
    ring = torch.zeros(rows, n, dtype=torch.int64)
    plane, frames = torch.zeros(rows, 3, n, dtype=torch.float64), torch.zeros(rows, n_bodies, 3, n, dtype=torch.float64)
    mirrored = torch.zeros(rows, n, dtype=torch.bool)
    body = torch.full((rows, int(within.max()) + 1), -1)
    for row, move in enumerate(moves):
        size = len(move.ring)
        ring[row, :size] = torch.tensor(move.ring)
        plane[row, :, :size] = torch.tensor(move.plane, dtype=torch.float64)
        mirrored[row, list(move.mirrored)] = True
        for k, (frame, atoms) in enumerate(move.bodies):
            frames[row, k, :, :size] = torch.tensor(frame, dtype=torch.float64)
            body[row, within[list(atoms)].cpu()] = k
    of_row = torch.tensor([molecule[move.ring[0]] for move in moves], dtype=torch.int64)
    tables = (of_row, ring, plane, mirrored, frames, body, within)
    return Reflections(*(table.to(topology.device) for table in tables))


def reflected(energy_fn: EnergyFn, topology: Topology, moves: Reflections) -> Sampler[State, MoveInfo]:
    """Make one random reflection in each conformer a step, with a Metropolis test."""

    def propose(positions: Tensor, generator: Generator) -> Proposal:
        chosen = choose(moves.molecule, topology, positions, generator)
        return Proposal(reflect(positions, topology, moves, chosen), chosen)

    return metropolis(energy_fn, topology, propose)


def reflect(positions: Tensor, topology: Topology, moves: Reflections, chosen: Tensor) -> Tensor:
    """Carry out the `chosen` move (G, C) of each conformer on positions (3, N, C) Å."""
    column = torch.arange(positions.shape[-1], device=positions.device)
    before = positions[:, moves.ring[chosen], column[:, None]]  # (3, G, C, n)
    point, a, b = torch.einsum("gcvn,xgcn->vxgc", moves.plane.to(positions)[chosen], before)
    normal = cross(a, b) / norm(cross(a, b))  # (3, G, C)
    height = ((before - point[..., None]) * normal[..., None]).sum(0)  # (G, C, n)
    after = before - 2 * normal[..., None] * (height * moves.mirrored[chosen])

    weights = moves.frames.to(positions)[chosen]  # (G, C, K, 3, n)
    origin, axes = _frames(weights, before)  # (3, G, C, K), (3, 3, G, C, K)
    new_origin, new_axes = _frames(weights, after)
    rotation = torch.einsum("xagck,yagck->xygck", new_axes, axes)

    body = moves.body[chosen[topology.molecule], moves.within[:, None]]  # (N, C)
    place = (topology.molecule[:, None], column, body)
    arm = positions - origin[:, *place]
    moved = new_origin[:, *place] + (rotation[:, :, *place] * arm).sum(1)
    return torch.where(body >= 0, moved, positions)


def frame_of_atom(place: int, size: int) -> Weights:
    """Span the frame of one ring atom by its two neighbours."""
    before, after = (place - 1) % size, (place + 1) % size
    return [
        weights(size, {place: 1}),
        weights(size, {before: -1, after: 1}),
        weights(size, {before: 0.5, after: 0.5, place: -1}),
    ]


def frame_of_bond(place: int, size: int) -> Weights:
    """Span the frame of two ring atoms, at `place` and next, by themselves and the atoms on both sides."""
    second, before, after = (place + 1) % size, (place - 1) % size, (place + 2) % size
    return [
        weights(size, {place: 0.5, second: 0.5}),
        weights(size, {place: -1, second: 1}),
        weights(size, {before: 0.5, after: 0.5, place: -0.5, second: -0.5}),
    ]


def mean_plane(size: int) -> Weights:
    """Span the mean plane of a ring as Cremer and Pople do."""
    turns = [2 * math.pi * place / size for place in range(size)]
    return [[1 / size] * size, [math.sin(turn) for turn in turns], [math.cos(turn) for turn in turns]]


def weights(size: int, given: dict[int, float]) -> list[float]:
    """Write out one row of weights; what falls on one place is summed by the caller."""
    return [float(given.get(place, 0)) for place in range(size)]


def hanging(graph: Graph, ring: tuple[int, ...]) -> list[set[int]]:
    """Collect, for each ring atom, what hangs together with it when the bonds of the ring are cut."""
    cut = {frozenset(pair) for pair in zip(ring, ring[1:] + ring[:1], strict=True)}
    return [reachable(graph, atom, cut) for atom in ring]


def _frames(weights: Tensor, ring: Tensor) -> tuple[Tensor, Tensor]:
    """Return origins (3, G, C, K) and right-handed axes, (3, 3, G, C, K) with the axis in the second place."""
    origin, along, aside = torch.einsum("gckvn,xgcn->vxgck", weights, ring)
    first = along / norm(along)
    rest = aside - first * (first * aside).sum(0)
    second = rest / norm(rest)
    return origin, torch.stack((first, second, cross(first, second)), dim=1)
