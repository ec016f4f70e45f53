"""The model's own samples, against which contrastive divergence holds the data."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.samplers.baoab import BaoabInfo, baoab, maxwell_boltzmann
from molebm.samplers.mala import MalaInfo, mala
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.run import sample
from molebm.samplers.sampler import Sampler
from molebm.samplers.tempering import TemperingState, parallel_tempering
from molebm.training.config import Chains, PersistentContrastiveDivergence
from molebm.training.pool import Batch, draw_starts
from molebm.units import BOLTZMANN

HOT = 4.0  # times the bath: a chain this hot is being torn apart by its own forces
SHORTER, LONGER = 0.97, 1.01  # factors of the step from one update to the next
SMALLEST = 0.05  # of the step that was asked for


class Negatives(NamedTuple):
    """Where the chains are after an update, and the step for the next one."""

    positions: Tensor  # (3, N, C) Å; data where a chain was lost
    sound: Tensor  # (G, C) bool
    step_scale: float  # of the step that was asked for


def draw_negatives(
    settings: Chains, energy_fn: EnergyFn, batch: Batch, *, step_scale: float, where: Generator, noise: Generator
) -> Negatives:
    """Advance the chains of a batch by some steps of Langevin dynamics in the model's energy.

    The step shrinks while the motion is hotter than its bath, or accepted less often than its target, and
    grows back. A chain that explodes starts again from data and touches no other.

    Parameters
    ----------
    where
        On the CPU, decides which chains start afresh.
    noise
        On the device of the positions, drives the dynamics.
    """
    kT = BOLTZMANN * batch.temperatures
    starts = _starts(settings, batch, where)
    sampler, state = _begin(settings, energy_fn, batch, starts, step_scale, noise)
    if settings.tempering:
        sampler, state = _tempered(settings, sampler, state, batch, where)
    n_steps = 1 if settings.tempering else settings.n_steps
    ((state, info),) = sample(sampler, state, kT=kT, n_steps=n_steps, generator=noise, thin=n_steps)
    sound, calm = _judge(settings, state.energy, info.inner if settings.tempering else info, batch)
    scale = min(1.0, step_scale * LONGER) if calm else max(SMALLEST, step_scale * SHORTER)
    return Negatives(torch.where(sound[batch.topology.molecule], state.positions, batch.positions), sound, scale)


def _starts(settings: Chains, batch: Batch, generator: Generator) -> Tensor:
    if not isinstance(settings, PersistentContrastiveDivergence):
        return batch.positions
    shape = (batch.topology.n_molecules, len(batch.temperatures))
    chance = torch.rand(shape, generator=generator).to(batch.positions.device)[batch.topology.molecule]  # (N, C)
    starts = torch.where(chance < settings.restart, batch.positions, batch.chains)
    if settings.restart_embedded:
        starts = torch.where(chance > 1 - settings.restart_embedded, draw_starts(batch, generator).to(starts), starts)
    return starts


def _begin(
    settings: Chains, energy_fn: EnergyFn, batch: Batch, starts: Tensor, step_scale: float, noise: Generator
) -> tuple[Sampler[Any, Any], Any]:
    """Make the sampler and its first state, in motion where there is inertia."""
    if settings.sampler == "mala":
        still = mala(energy_fn, batch.topology, step_size=settings.step_size * step_scale)
        return still, still.init(starts)
    masses = repartition_hydrogen_mass(batch.topology, hydrogen_mass=settings.hydrogen_mass)
    time_step = settings.time_step * step_scale
    moving = baoab(energy_fn, batch.topology, masses=masses, time_step=time_step, friction=settings.friction)
    kT = BOLTZMANN * batch.temperatures
    velocities = maxwell_boltzmann(batch.topology, masses, starts, kT=kT, generator=noise)
    return moving, moving.init(starts)._replace(velocities=velocities)


def _tempered(
    settings: Chains, sampler: Sampler[Any, Any], state: Any, batch: Batch, generator: Generator
) -> tuple[Sampler[Any, Any], Any]:
    """Swap once after the last step, even pairs of temperatures or odd ones as the coin falls."""
    n_temperatures = len(batch.temperatures.unique())
    tempered = parallel_tempering(
        sampler, batch.topology, n_temperatures=n_temperatures, steps_per_swap=settings.n_steps
    )
    column = torch.arange(len(batch.temperatures), device=batch.positions.device)
    identity = column.expand(batch.topology.n_molecules, -1)
    return tempered, TemperingState(state, identity, int(torch.randint(2, (), generator=generator)))


def _judge(settings: Chains, energy: Tensor, info: BaoabInfo | MalaInfo, batch: Batch) -> tuple[Tensor, bool]:
    """Say which chains (G, C) are sound, and whether the motion allows a longer step."""
    sound = torch.isfinite(energy)
    if isinstance(info, MalaInfo):
        return sound, info.acceptance.mean().item() > settings.acceptance_target
    heat = info.kinetic_temperature / batch.temperatures  # (G, C)
    sound = sound & (heat < HOT)
    return sound, heat[sound].mean().item() < settings.kinetic_target
