"""What the bonds say of how a molecule can move: which atoms hang together, and where the rings are."""

from __future__ import annotations

from collections.abc import Collection

import torch
from torch import Tensor

from molebm.topology import Topology

SINGLE, DOUBLE, TRIPLE, AROMATIC = range(4)
"""Categories in the first row of `Topology.bond_features`."""

Graph = list[dict[int, int]]
"""The neighbours of each atom, each with the category of the bond to it."""


def bond_graph(topology: Topology) -> Graph:
    """List the neighbours of each atom over all molecules."""
    graph: Graph = [{} for _ in range(topology.n_atoms)]
    for i, j, category in zip(*topology.bonds.tolist(), topology.bond_features[0].tolist(), strict=True):
        graph[i][j] = graph[j][i] = category
    return graph


def atoms_within_molecules(topology: Topology) -> Tensor:
    """Number the atoms of each molecule from 0, (N,) int64."""
    sizes = topology.atoms_per_molecule()
    return torch.arange(topology.n_atoms, device=topology.device) - (sizes.cumsum(0) - sizes)[topology.molecule]


def reachable(graph: Graph, start: int, without: Collection[frozenset[int]]) -> set[int]:
    """Collect the atoms that are joined to `start` when the bonds `without` are cut."""
    found, waiting = {start}, [start]
    while waiting:
        atom = waiting.pop()
        for near in graph[atom]:
            if near not in found and frozenset((atom, near)) not in without:
                found.add(near)
                waiting.append(near)
    return found


def smallest_rings(graph: Graph) -> list[tuple[int, ...]]:
    """Find one smallest ring through each bond that has any, each ring once, its atoms in order around it."""
    rings: dict[frozenset[int], tuple[int, ...]] = {}
    for start, neighbours in enumerate(graph):
        for end in neighbours:
            if start < end and (path := _detour(graph, start, end)):
                rings.setdefault(frozenset(path), path)
    return list(rings.values())


def _detour(graph: Graph, start: int, end: int) -> tuple[int, ...]:
    """Return the shortest way between two bonded atoms that avoids their bond, or nothing."""
    came_from = {start: start}
    front = [start]
    while front and end not in came_from:
        reached = []
        for atom in front:
            for near in graph[atom]:
                if near not in came_from and (atom, near) != (start, end):
                    came_from[near] = atom
                    reached.append(near)
        front = reached
    if end not in came_from:
        return ()
    path = [end]
    while path[-1] != start:
        path.append(came_from[path[-1]])
    return tuple(path)
