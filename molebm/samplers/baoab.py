"""Langevin dynamics with inertia, split as BAOAB."""

import math
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.samplers.sampler import DynamicsState, Sampler, over_atoms
from molebm.topology import Topology
from molebm.units import ACCELERATION, BOLTZMANN


class BaoabInfo(NamedTuple):
    """How hot the motion is."""

    kinetic_temperature: Tensor  # (G, C) K, of all 3 degrees of freedom of each atom


def baoab(
    energy_fn: EnergyFn, topology: Topology, *, masses: Tensor, time_step: float, friction: float = 1.0
) -> Sampler[DynamicsState, BaoabInfo]:
    r"""Langevin dynamics that kicks (B), drifts (A), thermalises (O), drifts and kicks; one force per step.

    Not exact, but the positions are remarkably so: for a harmonic mode their marginal is exact at any stable
    step, :math:`\omega\,\Delta t < 2`, and the error shows in the velocities instead, whose variance is
    :math:`kT/m\,(1 - \omega^2\Delta t^2/4)`. Masses change how fast configurations are visited, never how
    often. A conformer that explodes stays non-finite from then on.

    `init` leaves the atoms at rest; for a warm start
    ``state._replace(velocities=maxwell_boltzmann(topology, masses, state.positions, kT=kT, generator=generator))``.

    Parameters
    ----------
    masses
        (N,) amu: `atomic_masses` (1 fs is safe, 2.5 fs explodes) or `repartition_hydrogen_mass`.
    time_step
        fs.
    friction
        1/ps.

    References
    ----------
    Leimkuhler and Matthews, Appl. Math. Res. Express 2013(1), 34.
    """
    half = time_step / 2  # fs
    kept = math.exp(-friction * 1e-3 * time_step)  # fraction of the velocity that survives O
    per_mass = (ACCELERATION / masses)[:, None]  # (N, 1) Å²/fs² per kcal/mol
    degrees_of_freedom = 3 * topology.atoms_per_molecule()[:, None]  # (G, 1)

    def init(positions: Tensor) -> DynamicsState:
        return DynamicsState(positions.detach(), *energy_and_forces(energy_fn, positions), torch.zeros_like(positions))

    def step(state: DynamicsState, kT: float | Tensor, generator: Generator) -> tuple[DynamicsState, BaoabInfo]:
        per_atom = per_mass.to(state.positions)
        thermal = per_atom.sqrt() * ((1 - kept**2) * over_atoms(kT, topology)) ** 0.5  # (N, 1 or C) Å/fs
        noise = torch.empty_like(state.velocities).normal_(generator=generator).mul_(thermal)

        v = torch.addcmul(state.velocities, state.forces, per_atom, value=half)  # B
        x = torch.add(state.positions, v, alpha=half)  # A
        v.mul_(kept).add_(noise)  # O
        x.add_(v, alpha=half)  # A
        energy, forces = energy_and_forces(energy_fn, x)
        v.addcmul_(forces, per_atom, value=half)  # B

        twice_kinetic = topology.sum_atoms(v.square().sum(0).div_(per_atom))  # (G, C) kcal/mol
        temperature = twice_kinetic / (degrees_of_freedom * BOLTZMANN)
        return DynamicsState(x, energy, forces, v), BaoabInfo(temperature)

    return Sampler(init, step)


def maxwell_boltzmann(
    topology: Topology, masses: Tensor, positions: Tensor, *, kT: float | Tensor, generator: Generator
) -> Tensor:
    """Draw the velocities that atoms have at thermal equilibrium, (3, N, C) Å/fs, as many as `positions`.

    The motion of the centre of mass is not removed: it is one of the degrees of freedom that the thermostat
    of `baoab` holds at kT.
    """
    variance = (ACCELERATION / masses).to(positions)[:, None] * over_atoms(kT, topology)  # (N, 1 or C) Å²/fs²
    return torch.empty_like(positions).normal_(generator=generator).mul_(variance.sqrt())
