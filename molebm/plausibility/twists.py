"""Bonds that are twisted: what their own torsions cost, whatever the rest of the molecule makes of it."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from molebm.forcefield import geometry
from molebm.forcefield.kernel import torsion_energy
from molebm.forcefield.parameters import Parameters
from molebm.plausibility.environments import HYDROGEN, AtomTypes, key, unordered
from molebm.plausibility.observations import TWIST, Observations
from molebm.samplers.bond_graph import SINGLE
from molebm.topology import Topology

TURNS: Final = 36  # of all torsions about a bond together, among which the lowest is
_RING_SIZE: Final = 2  # row of `Topology.bond_features`


def twists(topology: Topology, types: AtomTypes, parameters: Parameters, positions: Tensor) -> Observations:
    """Find what the torsions about each single bond cost, in kcal/mol, above the best that turning them all would do.

    Bonds in rings cannot be turned so, but cost as much; those at which only hydrogens turn are left out. Positions
    are (3, N, C) Å.
    """
    heavy = topology.atomic_numbers != HYDROGEN
    middle = topology.torsion_bonds[1]
    single = (topology.bond_features[0] == SINGLE)[middle]
    bonds, bond = middle[single & heavy[topology.torsions].all(0)].unique(), middle[single]
    torsions, v = topology.torsions[:, single], parameters.torsion_v[:, single].to(positions)
    angle = geometry.torsion_angle(positions, torsions)
    none = positions.new_zeros((topology.bonds.shape[1], positions.shape[2]))
    turned = (angle + 2 * math.pi * turn / TURNS for turn in range(TURNS))
    costs = torch.stack([none.index_add(0, bond, torsion_energy(each.cos(), v)) for each in turned])
    first = _first_torsions(topology, heavy, bonds)
    ends = topology.torsions[1:3, first]
    size = topology.bond_features[_RING_SIZE, bonds]
    given = 180 / math.pi * geometry.torsion_angle(positions, topology.torsions[:, first])
    keys = torch.stack(
        [
            key(24, size, *unordered(*types.coarse[ends])),
            key(25, size, *unordered(*types.fine[ends])),
        ]
    )
    deviation = (costs[0] - costs.amin(0))[bonds]
    return Observations(TWIST, topology.torsions[:, first], topology.molecule[ends[0]], keys, given, given, deviation)


def _first_torsions(topology: Topology, heavy: Tensor, bonds: Tensor) -> Tensor:
    """Name each bond by the first torsion of heavier atoms about it."""
    place = heavy[topology.torsions].all(0).nonzero()[:, 0]
    first = torch.full((topology.bonds.shape[1],), topology.torsions.shape[1], device=heavy.device)
    return first.scatter_reduce(0, topology.torsion_bonds[1][place], place, "amin")[bonds]
