"""From one energy and temperature to another: what is sampled on the way, in equilibrium and out of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn, EnergyForces, energy_and_forces
from molebm.samplers.annealed_importance import annealed_importance
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.composition import cycle, repeated
from molebm.samplers.mala import mala
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.sampler import Sampler
from molebm.samplers.torsion_rotation import torsion_rotation
from molebm.topology import Topology


class End(NamedTuple):
    """One end of a path: an energy, and the thermal energy it is meant at."""

    energy_fn: EnergyFn
    kT: float  # noqa: N815, kcal/mol

    def reduced(self, positions: Tensor) -> Tensor:
        """E/kT of positions (3, N, C) Å, (G, C)."""
        with torch.no_grad():
            return self.energy_fn(positions) / self.kT


@dataclass(frozen=True, slots=True)
class MixedEnergy:
    r"""The energy of a rung, :math:`kT_0[(1 - \lambda)E_0/kT_0 + \lambda E_1/kT_1]`, to be sampled at :math:`kT_0`."""

    first: End
    last: End
    position: float | Tensor  # λ, of all conformers or (C,) of each

    def __call__(self, positions: Tensor) -> Tensor:
        """Evaluate positions (3, N, C) Å, giving (G, C) kcal/mol."""
        here, there = self._shares()
        return here * self.first.energy_fn(positions) + there * self.last.energy_fn(positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate energies (G, C) and forces (3, N, C) kcal/mol/Å, detached."""
        here, there = self._shares()
        first = energy_and_forces(self.first.energy_fn, positions)
        last = energy_and_forces(self.last.energy_fn, positions)
        return EnergyForces(
            here * first.energy + there * last.energy,
            here * first.forces + there * last.forces,
        )

    def _shares(self) -> tuple[float | Tensor, float | Tensor]:
        return 1 - self.position, self.position * (self.first.kT / self.last.kT)


class Frame(NamedTuple):
    """C chains at each of K rungs at one time."""

    positions: Tensor  # (3, N, K, C) Å
    first: Tensor  # (K, G, C) E0/kT0
    last: Tensor  # (K, G, C) E1/kT1


@dataclass(frozen=True, slots=True)
class Dynamics:
    """How rungs are sampled."""

    time_step: float = 2.0  # fs
    hydrogen_mass: float = 3.0  # amu
    friction: float = 2.0  # 1/ps
    steps_per_turn: int = 25  # of dynamics, for each Monte Carlo turn of a bond
    equilibration: float = 2.0  # ps
    between_samples: float = 0.2  # ps
    n_samples: int = 20  # of each chain


def sample_rungs(
    first: End,
    last: End,
    topology: Topology,
    starts: Tensor,
    schedule: Sequence[float],
    generator: Generator,
    dynamics: Dynamics,
) -> Iterator[Frame]:
    """Sample all rungs at once, each by chains of its own, and yield a frame after each stretch of dynamics.

    Langevin dynamics moves what is stiff, and turns of bonds with a Metropolis test cross the barriers.

    Parameters
    ----------
    starts
        (3, N, C) Å, the same for all rungs.
    """
    d, n_chains = dynamics, starts.shape[-1]
    rungs = torch.tensor(schedule, dtype=starts.dtype, device=starts.device).repeat_interleave(n_chains)
    mixed = MixedEnergy(first, last, rungs)
    masses = repartition_hydrogen_mass(topology, hydrogen_mass=d.hydrogen_mass)
    moving = baoab(mixed, topology, masses=masses, time_step=d.time_step, friction=d.friction)
    turning: Sampler[Any, Any] = torsion_rotation(mixed, topology)  # takes the state of any sampler
    sampler = cycle(repeated(moving, d.steps_per_turn), turning)
    state = sampler.init(starts.repeat(1, 1, len(schedule)))
    state = state._replace(
        velocities=maxwell_boltzmann(topology, masses, state.positions, kT=first.kT, generator=generator)
    )
    per_cycle = d.time_step * d.steps_per_turn / 1000  # ps
    shape = (topology.n_molecules, len(schedule), n_chains)
    for sample in range(d.n_samples):
        stretch = d.between_samples if sample else d.equilibration + d.between_samples
        for _ in range(max(1, round(stretch / per_cycle))):
            state, _ = sampler.step(state, first.kT, generator)
        yield Frame(
            state.positions.unflatten(2, shape[1:]),
            first.reduced(state.positions).view(shape).transpose(0, 1),
            last.reduced(state.positions).view(shape).transpose(0, 1),
        )


class Annealed(NamedTuple):
    """Chains on their way, with their reduced energies at both ends."""

    positions: Tensor  # (3, N, C) Å
    first: Tensor  # (G, C) E0/kT0
    last: Tensor  # (G, C) E1/kT1


def anneal_between(
    first: End,
    last: End,
    topology: Topology,
    starts: Tensor,
    schedule: Sequence[float],
    generator: Generator,
    *,
    steps_per_rung: int,
    step_size: float,
) -> Iterator[Tensor]:
    r"""Carry chains along a path by annealed importance sampling and yield ln of their weights (G, C) after each rung.

    Metropolis-adjusted Langevin moves leave every rung exactly as it is, so that mean weights are not biased.

    Parameters
    ----------
    starts
        (3, N, C) Å, in equilibrium at the first rung.
    schedule
        :math:`\lambda`, rising from `first` or falling from `last`.
    step_size
        Å²/(kcal/mol), of `mala`.
    """

    def log_density(state: Annealed, position: float) -> Tensor:
        return -((1 - position) * state.first + position * state.last)

    def at(positions: Tensor) -> Annealed:
        return Annealed(positions, first.reduced(positions), last.reduced(positions))

    def move(state: Annealed, position: float, generator: Generator) -> Annealed:
        sampler = mala(MixedEnergy(first, last, position), topology, step_size=step_size)
        chains = sampler.init(state.positions)
        for _ in range(steps_per_rung):
            chains, _ = sampler.step(chains, first.kT, generator)
        return at(chains.positions)

    for _, log_weights in annealed_importance(log_density, move, at(starts), schedule, generator):
        yield log_weights
