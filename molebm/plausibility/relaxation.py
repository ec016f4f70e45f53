"""The reference of a structure is itself, relaxed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Tensor

from molebm.forcefield.energy import EnergyFn, EnergyForces, energy_and_forces
from molebm.samplers.minimise import Minimum, minimise
from molebm.topology import Topology
from molebm.units import thermal_energy

FORCE_TOLERANCE: Final = 0.1  # kcal/mol/Å; what is left below it is far less than kT
MAX_STEPS: Final = 500  # energy evaluations
HYDROGEN_STEPS: Final = 100  # energy evaluations for placing hydrogens


@dataclass(frozen=True, slots=True)
class PartlyHeld:
    """The same energy with some atoms held where they are: they feel no force."""

    energy_fn: EnergyFn
    movable: Tensor  # (N,) bool

    def __call__(self, positions: Tensor) -> Tensor:
        return self.energy_fn(positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate the energy, and the forces on the movable atoms."""
        energy, forces = energy_and_forces(self.energy_fn, positions)
        return EnergyForces(energy, forces * self.movable[:, None])


def relax(energy_fn: EnergyFn, topology: Topology, positions: Tensor) -> Minimum:
    """Go from each conformer to the minimum below it."""
    return minimise(energy_fn, topology, positions, force_tolerance=FORCE_TOLERANCE, max_steps=MAX_STEPS)


def relax_atoms(energy_fn: EnergyFn, topology: Topology, positions: Tensor, movable: Tensor) -> Tensor:
    """Relax the atoms that `movable` (N,) names and hold the others; returns positions (3, N, C) Å."""
    held = PartlyHeld(energy_fn, movable)
    return minimise(held, topology, positions, force_tolerance=FORCE_TOLERANCE, max_steps=HYDROGEN_STEPS).positions


def strain_score(excess: Tensor, topology: Topology, temperature: float) -> Tensor:
    r"""Divide the energy above the relaxed structure (G, C) by :math:`\tfrac32 N k T`.

    That is what equipartition gives the N atoms of a molecule of harmonic springs, six degrees of
    freedom apart, so a clean thermal structure scores about 1 whatever its size, and a relaxed one 0.
    """
    atoms = topology.atoms_per_molecule().to(excess)[:, None]
    return excess / (1.5 * thermal_energy(temperature) * atoms)
