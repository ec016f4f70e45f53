"""Lower minima near a relaxed structure, for a reference that has forgotten where it started."""

from __future__ import annotations

from typing import Final

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.plausibility.relaxation import relax
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.minimise import Minimum
from molebm.samplers.run import anneal
from molebm.topology import Topology
from molebm.units import thermal_energy

TEMPERATURES: Final = tuple(600.0 * 0.5 ** (n / 9) for n in range(10))  # K, down to 300
STEPS_PER_TEMPERATURE: Final = 50
TIME_STEP: Final = 2.0  # fs, with hydrogens of 3 amu


def lowest_nearby(
    energy_fn: EnergyFn, topology: Topology, minimum: Minimum, n_anneals: int, generator: Generator
) -> Tensor:
    """Anneal `n_anneals` times from each minimum, 1 ps of Langevin dynamics, and return the lowest found.

    The minimum itself is one of those compared, so the result (3, N, C) Å is never higher.
    """
    masses = repartition_hydrogen_mass(topology)
    sampler = baoab(energy_fn, topology, masses=masses, time_step=TIME_STEP)
    state = sampler.init(minimum.positions.repeat_interleave(n_anneals, dim=2))  # (3, N, C·n)
    schedule = [thermal_energy(temperature) for temperature in TEMPERATURES]
    hot = maxwell_boltzmann(topology, masses, state.positions, kT=schedule[0], generator=generator)
    start = state._replace(velocities=hot)
    cooling = anneal(sampler, start, schedule=schedule, steps_per_kT=STEPS_PER_TEMPERATURE, generator=generator)
    *_, (cold, _) = cooling
    found = relax(energy_fn, topology, cold.positions)

    n_conformers = minimum.energy.shape[1]
    energies = found.energy.unflatten(1, (n_conformers, n_anneals))
    energies = torch.cat([minimum.energy[..., None], energies], dim=2).nan_to_num(nan=torch.inf)  # (G, C, 1 + n)
    positions = found.positions.unflatten(2, (n_conformers, n_anneals))
    positions = torch.cat([minimum.positions[..., None], positions], dim=3)  # (3, N, C, 1 + n)
    lowest = energies.argmin(2)[topology.molecule]  # (N, C)
    return positions.gather(3, lowest.expand(3, -1, -1)[..., None])[..., 0]
