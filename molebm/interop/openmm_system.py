"""An energy of molebm as an `openmm.System`: native forces, and the residual in Python where the model has one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import openmm
import torch
from numpy.typing import NDArray
from openmm import unit
from rdkit import Chem

from molebm.errors import RequestError
from molebm.forcefield.energy import energy_and_forces
from molebm.forcefield.kernel import TermEnergies
from molebm.interop.molecular_energy import MolecularEnergy, molecular_energy
from molebm.models.couplings import Couplings, coupling_energy
from molebm.parametrise import LEARNED
from molebm.references.openmm_export import kernel_forces
from molebm.samplers.masses import atomic_masses, repartition_hydrogen_mass
from molebm.topology import Topology
from molebm.units import KCAL_PER_KJ

RESIDUAL: Final = "residual"
RESIDUAL_GROUP: Final = len(TermEnergies._fields)
"""Force group of the residual; those below are the kinds of term in the order of `TermEnergies`."""


def to_openmm(
    mol: Chem.Mol,
    energy: str = LEARNED,
    model: str | Path | None = None,
    *,
    hydrogen_mass: float | None = None,
) -> openmm.System:
    """Write the energy of a molecule in vacuum as a system whose particles are its atoms, in their order.

    The terms of the kernel are native forces, which run on every platform at its own speed and survive XML. A
    model with a residual adds an `openmm.PythonForce` named residual. There are no constraints and no cutoff.

    Parameters
    ----------
    mol
        With explicit hydrogens; coordinates are not used.
    energy
        learned, mmff94 or mmff94s.
    model
        Checkpoint of the learned energy; None for the shipped one.
    hydrogen_mass
        amu, taken from the atoms that carry the hydrogens; None for the masses of nature.

    Raises
    ------
    MoleculeError, RequestError, CheckpointError
        As `molecular_energy`, and a RequestError for hydrogens too heavy or an OpenMM too old for the residual.
    """
    molecule = molecular_energy(mol, energy, model)
    masses = atomic_masses(molecule.topology)
    if hydrogen_mass is not None:
        masses = repartition_hydrogen_mass(molecule.topology, hydrogen_mass)
    system = openmm.System()
    for mass in masses.tolist():
        system.addParticle(mass * unit.dalton)
    for force in energy_forces(molecule):
        system.addForce(force)
    return system


def energy_forces(molecule: MolecularEnergy, particles: Sequence[int] | None = None) -> Iterator[openmm.Force]:
    """Give the forces that make the energy, for a molecule whose atoms stand at these places in a system.

    Raises
    ------
    RequestError
        If there is a residual and OpenMM has no PythonForce.
    """
    yield from kernel_forces(molecule.topology, molecule.parameters.to(dtype=torch.float64), particles)
    if molecule.couplings is not None:
        yield _residual_force(molecule.topology, molecule.couplings, particles)


def _residual_force(topology: Topology, couplings: Couplings, particles: Sequence[int] | None) -> openmm.Force:
    if not hasattr(openmm, "PythonForce"):
        raise RequestError(
            f"the model has a residual, which OpenMM {openmm.__version__} cannot evaluate; install OpenMM 8.6 or newer"
        )
    force = openmm.PythonForce(ResidualForce(topology, couplings.to(torch.float64)))
    if particles is not None:
        force.setParticles([int(place) for place in particles])
    force.setName(RESIDUAL)
    force.setForceGroup(RESIDUAL_GROUP)
    return force


@dataclass(frozen=True, slots=True)
class ResidualForce:
    """The residual as the computation of an `openmm.PythonForce`, in double precision on the CPU.

    OpenMM pickles it into the XML of a system: read such files only from where you would run a program from.
    """

    topology: Topology
    couplings: Couplings

    def __call__(self, state: openmm.State) -> tuple[float, NDArray[np.float64]]:
        """Evaluate positions in nm, giving kJ/mol and (N, 3) kJ/mol/nm."""
        x = np.asarray(state.getPositions(asNumpy=True).value_in_unit(unit.angstrom), dtype=np.float64)
        positions = torch.from_numpy(np.ascontiguousarray(x.T))[:, :, None]  # (3, N, 1)
        found = energy_and_forces(lambda x: coupling_energy(self.topology, self.couplings, x), positions)
        return found.energy.item() / KCAL_PER_KJ, found.forces[:, :, 0].T.numpy() * (10 / KCAL_PER_KJ)
