"""Toy molecules and energies whose answers are known in closed form or by quadrature."""

from collections.abc import Callable, Sequence
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
def make_topology() -> Callable[..., Topology]:
    """Build a topology with the given number of atoms in each molecule, and no terms."""

    def make(
        *atoms_per_molecule: int,
        atomic_numbers: Sequence[int] | None = None,
        bonds: Sequence[tuple[int, int]] = (),
    ) -> Topology:
        n_atoms, n_bonds = sum(atoms_per_molecule), len(bonds)
        none = torch.zeros(0, dtype=torch.int64)
        counts = torch.tensor(atoms_per_molecule)
        return Topology(
            atomic_numbers=torch.tensor(atomic_numbers or [6] * n_atoms),
            formal_charges=torch.zeros(n_atoms, dtype=torch.int64),
            atom_features=torch.zeros(0, n_atoms, dtype=torch.int64),
            molecule=torch.arange(len(counts)).repeat_interleave(counts),
            bonds=torch.tensor(bonds, dtype=torch.int64).reshape(n_bonds, 2).T,
            bond_features=torch.zeros(3, n_bonds, dtype=torch.int64),  # single
            angles=none.view(3, 0),
            angle_bonds=none.view(2, 0),
            torsions=none.view(4, 0),
            torsion_bonds=none.view(3, 0),
            impropers=none.view(4, 0),
            pairs=none.view(2, 0),
            pairs_14=none.bool(),
            stereo_centres=none.view(4, 0),
            stereo_signs=none,
            stereo_bonds=none.view(4, 0),
            stereo_cis=none.bool(),
            n_molecules=len(counts),
        )

    return make


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
