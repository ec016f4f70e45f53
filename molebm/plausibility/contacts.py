"""Atoms that are nearer than atoms that share no bond can be."""

from __future__ import annotations

import torch
from torch import Tensor

from molebm.forcefield import geometry
from molebm.forcefield.kernel import buffered_14_7
from molebm.forcefield.parameters import Parameters
from molebm.plausibility.environments import AtomTypes, key, unordered
from molebm.plausibility.observations import CONTACT, Observations
from molebm.topology import Topology


def contacts(
    topology: Topology, types: AtomTypes, parameters: Parameters, placed: Tensor, settled: Tensor
) -> Observations:
    """Find the repulsion, in kcal/mol, of atoms four or more bonds apart that a tethered relaxation sets free."""
    apart = ~topology.pairs_14
    pairs, radius, depth = topology.pairs[:, apart], parameters.pair_radius[apart], parameters.pair_depth[apart]
    given, relaxed = geometry.distance(placed, *pairs), geometry.distance(settled, *pairs)
    near = (given < radius[:, None]).any(1)  # others neither repel nor matter
    pairs, given, relaxed, radius, depth = pairs[:, near], given[near], relaxed[near], radius[near], depth[near]
    now, then = (buffered_14_7(r / radius[:, None], depth[:, None]) for r in (given, relaxed))
    return Observations(
        CONTACT,
        pairs,
        topology.molecule[pairs[0]],
        torch.stack(
            [key(30, *unordered(*types.element[pairs])), key(31, *unordered(*_with_bearer(topology, types)[pairs]))]
        ),
        given,
        radius[:, None].expand_as(given),
        (now - then.clamp(min=0)).clamp(min=0),
    )


def _with_bearer(topology: Topology, types: AtomTypes) -> Tensor:
    """Elements, where a hydrogen also counts what it is bonded to."""
    return torch.where(types.element == 1, types.fine, types.element)
