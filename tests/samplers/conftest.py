"""Toy molecules and energies whose answers are known in closed form or by quadrature."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch import Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.forcefield.geometry import cos_angle, distance, torsion_angle
from molebm.topology import Topology


@pytest.fixture
def generator() -> torch.Generator:
    return torch.Generator().manual_seed(20240229)


@pytest.fixture
def harmonic() -> Callable[[Topology, float], EnergyFn]:
    """Hold every atom at the origin with a spring of the given constant in kcal/mol/Å²."""

    def make(topology: Topology, k: float) -> EnergyFn:
        return lambda x: topology.sum_atoms(k / 2 * x.square().sum(0))

    return make


@pytest.fixture
def double_well() -> Callable[[Topology, float], EnergyFn]:
    """Put every atom in two wells at x = ±1 Å behind a barrier in kcal/mol, harmonic along y and z."""

    def make(topology: Topology, barrier: float) -> EnergyFn:
        return lambda r: topology.sum_atoms(_double_well(r[0], barrier) + 2 * (r[1].square() + r[2].square()))

    return make


def _double_well(x, barrier):
    """Lean slightly to the right, so that the two wells have different weights."""
    return barrier * (x**2 - 1) ** 2 - 0.3 * x


@pytest.fixture
def double_well_bins() -> Callable[..., tuple[Tensor, Tensor]]:
    """Integrate the Boltzmann weight of the double well over bins along x: the edges and probabilities."""

    def make(barrier: float, kT: float, n_bins: int = 12) -> tuple[Tensor, Tensor]:
        edges = np.linspace(-1.8, 1.8, n_bins + 1)
        edges[0], edges[-1] = -4, 4
        weights = []
        for low, high in pairwise(edges):
            x = np.linspace(low, high, 2001)
            weights.append(np.trapezoid(np.exp(-_double_well(x, barrier) / kT), x))
        probabilities = torch.tensor(weights)
        return torch.tensor(edges), probabilities / probabilities.sum()

    return make


@pytest.fixture
def four_beads(make_topology) -> tuple[Topology, EnergyFn, Callable[[Tensor], Tensor]]:
    """Make a butane of four beads: its topology, its energy and V(φ) of its torsion, kcal/mol.

    Bonds and angles move, but the volume element of internal coordinates, r² sin θ, does not depend on φ, and
    neither does their energy: φ is distributed as exp(-V/kT), whatever else the beads do.
    """
    topology = make_topology(4, bonds=[(0, 1), (1, 2), (2, 3)])
    angles, torsions = torch.tensor([[0, 1], [1, 2], [2, 3]]), torch.tensor([[0], [1], [2], [3]])

    def of_torsion(phi: Tensor) -> Tensor:
        return 0.7 * (1 + phi.cos()) + 2.0 * (1 + (3 * phi).cos()) + 0.4 * phi.sin()

    def energy(x: Tensor) -> Tensor:
        bonds = 100 * (distance(x, *topology.bonds) - 1.5).square().sum(0)
        bends = 40 * (cos_angle(x, angles) + 0.4).square().sum(0)
        return (bonds + bends + of_torsion(torsion_angle(x, torsions)[0]))[None]

    return topology, energy, of_torsion


@pytest.fixture
def four_beads_start() -> Callable[[int], Tensor]:
    """Put every chain of beads near φ = 180°."""

    def make(n_conformers: int) -> Tensor:
        x = torch.tensor([[0.0, 0.6, 2.1, 2.7], [1.37, 0.0, 0.0, -1.37], [0.0, 0.0, 0.0, 0.0]])
        return x[..., None].expand(3, 4, n_conformers).clone()

    return make
