"""From a few embedded starts to many minima: hot Langevin dynamics, cooled, then downhill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.minimise import Minimum, minimise
from molebm.samplers.run import anneal
from molebm.samplers.tempering import geometric_temperatures
from molebm.topology import Topology
from molebm.units import thermal_energy


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how hot; chosen by the lowest energies and the number of distinct conformers that come out."""

    hot: float = 1500.0  # K
    cold: float = 150.0  # K
    n_temperatures: int = 30
    steps_per_temperature: int = 50
    time_step: float = 2.0  # fs, with hydrogens of 3 amu
    friction: float = 1.0  # 1/ps
    clash_steps: int = 20  # energy evaluations before, at most, to undo clashes
    relax_steps: int = 400  # energy evaluations after, at most
    force_tolerance: float = 0.1  # kcal/mol/Å, of the minima


FULL: Final = Schedule()
SHORT: Final = Schedule(n_temperatures=10, steps_per_temperature=20, relax_steps=150)
"""For where an evaluation costs many times more: PyTorch's operations one by one on a CPU."""


def annealed_minima(
    energy_fn: EnergyFn, topology: Topology, starts: Tensor, generator: Generator, schedule: Schedule
) -> Minimum:
    """Cool C chains of every molecule from `starts` (3, N, C) Å by Langevin dynamics and relax each.

    Clashes of the starts are undone first. A chain that explodes ends as not finite and leaves its
    neighbours alone.

    References
    ----------
    Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """
    x = minimise(energy_fn, topology, starts, max_steps=schedule.clash_steps).positions
    masses = repartition_hydrogen_mass(topology)
    sampler = baoab(energy_fn, topology, masses=masses, time_step=schedule.time_step, friction=schedule.friction)
    temperatures = geometric_temperatures(schedule.hot, schedule.cold, schedule.n_temperatures).tolist()
    ladder = [thermal_energy(temperature) for temperature in temperatures]
    velocities = maxwell_boltzmann(topology, masses, x, kT=ladder[0], generator=generator)
    state = sampler.init(x)._replace(velocities=velocities)
    cooling = anneal(sampler, state, schedule=ladder, steps_per_kT=schedule.steps_per_temperature, generator=generator)
    for state, _ in cooling:
        x = state.positions
    return relaxed(energy_fn, topology, x, schedule)


def relaxed(energy_fn: EnergyFn, topology: Topology, positions: Tensor, schedule: Schedule) -> Minimum:
    """Go downhill from where the conformers are, (3, N, C) Å."""
    return minimise(
        energy_fn, topology, positions, force_tolerance=schedule.force_tolerance, max_steps=schedule.relax_steps
    )
