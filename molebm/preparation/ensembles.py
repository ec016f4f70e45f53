"""Thermal ensembles of the reference energy, sampled for many molecules at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.samplers.baoab import BaoabInfo, baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.minimise import Minimum, minimise
from molebm.samplers.run import sample
from molebm.samplers.sampler import DynamicsState, Sampler
from molebm.topology import Topology
from molebm.units import BOLTZMANN


@dataclass(frozen=True, slots=True)
class EnsembleSettings:
    """How a reference ensemble is sampled."""

    temperatures: tuple[float, ...] = (300.0, 500.0, 800.0)  # K
    n_chains: int = 8  # at each temperature, each from an embedding of its own
    n_frames: int = 2  # of each chain
    n_minima: int = 12  # relaxed from samples of every temperature
    time_step: float = 2.0  # fs
    hydrogen_mass: float = 3.0  # amu, so that 2 fs is stable; configurations do not depend on masses
    friction: float = 2.0  # 1/ps
    equilibration: float = 2.0  # ps
    between_frames: float = 1.0  # ps


@dataclass(frozen=True, slots=True)
class Ensemble:
    """Samples of the Boltzmann distribution at several temperatures, and minima below them."""

    positions: Tensor  # (3, N, C) Å
    temperatures: Tensor  # (C,) K
    energies: Tensor  # (G, C) kcal/mol
    forces: Tensor  # (3, N, C) kcal/mol/Å
    minima: Tensor  # (3, N, M) Å
    minima_energies: Tensor  # (G, M) kcal/mol


def reference_ensemble(
    energy_fn: EnergyFn, topology: Topology, starts: Tensor, settings: EnsembleSettings, generator: Generator
) -> Ensemble:
    """Sample the Boltzmann distribution of an energy by Langevin dynamics from given starts.

    Parameters
    ----------
    starts
        (3, N, n_chains) Å; every temperature starts from the same conformers.
    """
    calm = minimise(energy_fn, topology, starts, force_tolerance=5.0, max_steps=100).positions
    temperatures = torch.tensor(settings.temperatures).repeat_interleave(starts.shape[2])
    kT = BOLTZMANN * temperatures
    masses = repartition_hydrogen_mass(topology, hydrogen_mass=settings.hydrogen_mass)
    sampler = baoab(energy_fn, topology, masses=masses, time_step=settings.time_step, friction=settings.friction)
    state = sampler.init(calm.repeat(1, 1, len(settings.temperatures)))
    state = state._replace(velocities=maxwell_boltzmann(topology, masses, state.positions, kT=kT, generator=generator))
    equilibration = round(settings.equilibration * 1000 / settings.time_step)
    between = round(settings.between_frames * 1000 / settings.time_step)
    (state,) = _states(sampler, state, kT, equilibration, equilibration, generator)
    frames = _states(sampler, state, kT, between * settings.n_frames, between, generator)
    relaxed = _relax(energy_fn, topology, frames[0].positions, settings.n_minima)
    return Ensemble(
        positions=torch.cat([frame.positions for frame in frames], dim=-1),
        temperatures=temperatures.repeat(settings.n_frames),
        energies=torch.cat([frame.energy for frame in frames], dim=-1),
        forces=torch.cat([frame.forces for frame in frames], dim=-1),
        minima=relaxed.positions,
        minima_energies=relaxed.energy,
    )


def _relax(energy_fn: EnergyFn, topology: Topology, positions: Tensor, n_minima: int) -> Minimum:
    spread = torch.linspace(0, positions.shape[2] - 1, n_minima).round().long()
    return minimise(energy_fn, topology, positions[:, :, spread], max_steps=500)


def _states(
    sampler: Sampler[DynamicsState, BaoabInfo],
    state: DynamicsState,
    kT: Tensor,
    n_steps: int,
    thin: int,
    generator: Generator,
) -> list[DynamicsState]:
    chain = sample(sampler, state, kT=kT, n_steps=n_steps, generator=generator, thin=thin)
    return [state for state, _ in chain]
