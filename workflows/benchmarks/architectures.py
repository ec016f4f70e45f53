"""What each part of the network buys and what it costs: same data, same objective, same minutes of one core.

    python workflows/benchmarks/architectures.py REFERENCES --minutes 3

REFERENCES is a folder that `molebm prepare` made. Each row changes one thing and matches forces from random weights.
Prints a Markdown table, a row as soon as it is there.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest import mock

import torch
from timed_training import Comparison, Row, compare, comparison_command
from torch import Tensor

from molebm.forcefield.parameters import Parameters
from molebm.models import network as networks
from molebm.topology import Topology

FORWARD = networks.ParameterNetwork.forward
ATOM_RINGS, BOND_RING = (5, 6, 7), 2  # places of aromaticity, smallest ring and rings among the features
SIZES: dict[str, dict[str, Any]] = {
    "as shipped: 4 layers, width 128": {},
    "2 layers": {"n_layers": 2},
    "6 layers": {"n_layers": 6},
    "width 64": {"width": 64},
    "width 192": {"width": 192},
    "gated messages": {"gated": True},
    "heads of 128": {"hidden": 128},
}


def without_rings(self: networks.ParameterNetwork, topology: Topology) -> Parameters:
    """Hide aromaticity and rings from the network."""
    atoms, bonds = topology.atom_features.clone(), topology.bond_features.clone()
    atoms[list(ATOM_RINGS)] = 0
    bonds[BOND_RING] = 0
    return FORWARD(self, replace(topology, atom_features=atoms, bond_features=bonds))


def three_harmonics(self: networks.ParameterNetwork, topology: Topology) -> Parameters:
    """Leave out the fourth to the sixth harmonic of torsions."""
    parameters = FORWARD(self, topology)
    return replace(parameters, torsion_v=parameters.torsion_v[:3])


def one_way(self: networks.ParameterNetwork, topology: Topology) -> Parameters:
    """Read chains of atoms in one direction only, as they are numbered."""
    read = "molebm.models.heads.ReversibleHead.forward"
    with mock.patch(read, read_one_way):
        return FORWARD(self, topology)


def read_one_way(head: Any, atoms: Tensor, bonds: Tensor, atom_chain: Tensor, bond_chain: Tensor) -> Tensor:
    """Leave out the reverse of each chain."""
    at = [place(atoms) for place in head.atom_places]
    along = [place(bonds) for place in head.bond_places]
    there = torch.nn.functional.silu(head._read(at, atom_chain) + head._read(along, bond_chain))
    even = torch.nn.functional.linear(2 * there, head.out.weight[: head.n_even], head.even_bias)
    return torch.cat([even, torch.nn.functional.linear(there, head.out.weight[head.n_even :])], dim=-1)


def mean_radii(
    radius: Tensor, depth: Tensor, softness: Tensor, donor: Tensor, acceptor: Tensor, pairs: Tensor
) -> tuple[Tensor, Tensor]:
    """Combine by arithmetic and geometric means (Lorentz and Berthelot)."""
    i, j = pairs
    return (radius[i] + radius[j]) / 2, (depth[i] * depth[j]).sqrt()


def replaced(owner: object, name: str, lesser: Callable) -> Callable[[], AbstractContextManager]:
    """Put a lesser part in the place of one of the network's."""
    return lambda: mock.patch.object(owner, name, lesser)


CHANGES: dict[str, Callable[[], AbstractContextManager]] = {
    "no ring features": replaced(networks.ParameterNetwork, "forward", without_rings),
    "torsions to the third order": replaced(networks.ParameterNetwork, "forward", three_harmonics),
    "chains read one way": replaced(networks.ParameterNetwork, "forward", one_way),
    "Lorentz-Berthelot rules": replaced(networks, "combine", mean_radii),
}


@comparison_command(picoseconds=2.0)
def main(asked: Comparison) -> None:
    """Print the table."""
    stages = {"stages": [{"updates": 100, "objectives": [{"objective": "force_matching"}]}]}
    sizes = [Row(label, {**stages, "network": size}) for label, size in SIZES.items()]
    compare(asked, "network", sizes + [Row(label, stages, changed) for label, changed in CHANGES.items()])


if __name__ == "__main__":
    main()
