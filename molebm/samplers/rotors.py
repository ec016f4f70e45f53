"""The bonds about which a molecule can be turned, and what turns with them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from molebm.samplers.bond_graph import DOUBLE, SINGLE, TRIPLE, Graph, atoms_within_molecules, bond_graph
from molebm.topology import Topology

_IDENTICAL_TOP = 3  # atoms of a methyl group


class Rotors(NamedTuple):
    """R bonds, and after them a row that turns nothing, for molecules without any."""

    molecule: Tensor  # (R,) int64, sorted
    axis: Tensor  # (2, R + 1) int64, the atom that stays and the one that carries what turns
    turning: Tensor  # (R + 1, A) bool, by the number of each atom within its molecule; A atoms at most


def find_rotors(topology: Topology) -> Rotors:
    """Find the acyclic single bonds between two atoms that both carry something off the axis.

    The smaller side turns. Groups of three equal atoms, as CH3 or CF3, are left out, for a third of a turn
    changes nothing; so are ends that lie on the axis, as C≡N.
    """
    graph = bond_graph(topology)
    elements = topology.atomic_numbers.tolist()
    molecule, within = topology.molecule.tolist(), atoms_within_molecules(topology).tolist()
    found = sorted((molecule[j], i, j, side) for i, j, side in _acyclic_single_bonds(graph, elements))
    turning = torch.zeros(len(found) + 1, max(within, default=0) + 1, dtype=torch.bool)
    turning[
        [row for row, (*_, side) in enumerate(found) for _ in side],
        [within[atom] for *_, side in found for atom in side],
    ] = True
    axis = torch.tensor([[i for _, i, *_ in found] + [0], [j for _, _, j, _ in found] + [0]])
    of_row = torch.tensor([m for m, *_ in found], dtype=torch.int64)
    device = topology.device
    return Rotors(of_row.to(device), axis.to(device), turning.to(device))


def _acyclic_single_bonds(graph: Graph, elements: list[int]) -> Iterator[tuple[int, int, list[int]]]:
    """Give the atom that stays, the atom that carries and the atoms off the axis that turn."""
    for a, neighbours in enumerate(graph):
        for b, category in neighbours.items():
            if a > b or category != SINGLE or not (_turns(graph, elements, a, b) and _turns(graph, elements, b, a)):
                continue
            side_b = _hanging(graph, b, a)
            if side_b is None:
                continue  # a ring
            side_a = _hanging(graph, a, b) or []
            if len(side_a) < len(side_b):
                yield b, a, sorted(side_a)
            else:
                yield a, b, sorted(side_b)


def _hanging(graph: Graph, root: int, other: int) -> list[int] | None:
    """List what hangs on `root` when its bond to the other is cut, or nothing if that is in a ring."""
    hanging = [atom for atom in graph[root] if atom != other]
    found = {root, *hanging}
    for atom in hanging:  # which grows
        for near in graph[atom]:
            if near == other:
                return None
            if near not in found:
                found.add(near)
                hanging.append(near)
    return hanging


def _turns(graph: Graph, elements: list[int], root: int, end: int) -> bool:
    """Tell whether the group that begins at `end` looks different when it is turned."""
    while _is_linear(graph, end):
        root, end = end, next(atom for atom in graph[end] if atom != root)
    tops = [atom for atom in graph[end] if atom != root]
    alike = all(len(graph[atom]) == 1 for atom in tops) and len({elements[atom] for atom in tops}) == 1
    return bool(tops) and not (alike and len(tops) == _IDENTICAL_TOP)


def _is_linear(graph: Graph, atom: int) -> bool:
    categories = list(graph[atom].values())
    return len(categories) == 2 and (TRIPLE in categories or categories == [DOUBLE, DOUBLE])
