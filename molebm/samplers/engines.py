"""The three moves of the search, in loops of C for a CPU and in PyTorch for a GPU or where C was not built."""

from __future__ import annotations

import functools
import time
from collections.abc import Sequence
from typing import Final, NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from molebm.forcefield import native, native_loops, native_restraints
from molebm.forcefield.energy import EnergyFn
from molebm.forcefield.flat_bonds import flat_bonds
from molebm.forcefield.mechanics import Backend, MechanicalEnergy
from molebm.forcefield.native_loops import DescentSettings
from molebm.forcefield.parameters import Parameters
from molebm.forcefield.restraints import Restraints, restraint_energy, restraints_of
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.graphed import graphed
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.minimise import minimise
from molebm.samplers.native_rotors import native_rotors
from molebm.samplers.rotors import find_rotors
from molebm.samplers.run import anneal
from molebm.samplers.timed_energy import TimedEnergy
from molebm.samplers.torsion_rotation import torsion_rotation
from molebm.topology import Topology

HISTORY: Final = 5  # pairs of steps in the descents; more cost more than they save
EMBEDDING: Final = ((0.1, 100, 5.0), (5.0, 60, 4.0))
"""Descents in four dimensions: pull on the fourth, kcal/mol/Å², most steps, and force to end at, kcal/mol/Å."""


TIME_STEP: Final = 2.0  # fs, of dynamics with hydrogens of 3 amu
FRICTION: Final = 1.0  # 1/ps


class Relaxed(NamedTuple):
    """Where conformers came to rest."""

    positions: Tensor  # (3, N, C) Å
    energy: Tensor  # (G, C) kcal/mol


class Engine(Protocol):
    """What moves the conformers of some molecules in an energy.

    Raises TimeLimitError when the time is up.
    """

    @property
    def n_rotors(self) -> int:
        """Count the bonds that can be turned about, in the molecule that has most."""

    def energy(self, positions: Tensor) -> Tensor:
        """Evaluate positions (3, N, C) Å, giving (G, C) kcal/mol."""

    def embed(self, starts: Tensor, *, flat: bool) -> Relaxed:
        """Fold random coordinates (4, N, C) Å into three dimensions, with the energy of what restrains them.

        If `flat`, amides and their like come out as they prefer, which is as most conformers have them.
        """

    def turn_bonds(self, positions: Tensor, schedule: Tensor, seeds: Sequence[int]) -> Tensor:
        """Sample torsions, one proposal at each kT (S,) kcal/mol."""

    def anneal(self, positions: Tensor, schedule: Tensor, seeds: Sequence[int]) -> Tensor:
        """Follow Langevin dynamics, one step at each kT (S,) kcal/mol."""

    def relax(
        self, positions: Tensor, *, force_tolerance: float, max_steps: int, tether: Tensor | None = None
    ) -> Relaxed:
        """Go downhill, with springs of `tether` (N,) kcal/mol/Å² from each atom to where it began, infinite to hold it.

        The energy is with that of the springs.
        """

    def relax_alone(
        self, positions: Tensor, *, force_tolerance: float, max_steps: int, tether: Tensor | None = None
    ) -> Relaxed:
        """Do what `relax` does where each molecule has one conformer or few, float64 on a CPU.

        There, it does not matter to a conformer which others come with it.
        """


def make_engine(topology: Topology, parameters: Parameters, backend: Backend, seconds: float) -> Engine:
    """Choose the engine for a backend; `seconds` are what it may take from now on."""
    deadline = time.monotonic() + seconds
    if backend in ("auto", "native") and native.can_run(topology, parameters):
        return NativeEngine(topology, parameters, deadline)
    return TorchEngine(topology, parameters, backend, deadline)


class NativeEngine:
    """Loops in C; each conformer by itself, whatever is computed beside it."""

    def __init__(self, topology: Topology, parameters: Parameters, deadline: float) -> None:
        self._topology, self._parameters = topology, parameters
        self._terms = native.bind(topology, parameters)
        self._deadline = deadline

    @functools.cached_property
    def _restraints(self) -> list[native_restraints.NativeRestraints]:
        both = _restraints(self._topology, self._parameters)
        return [native_restraints.bind_restraints(self._topology, restraints) for restraints in both]

    @functools.cached_property
    def _rotors(self) -> native_loops.Rotors:
        return native_rotors(self._topology)

    @property
    def n_rotors(self) -> int:
        return int(self._rotors.start.diff().max())

    def energy(self, positions: Tensor) -> Tensor:
        return native.energy(self._terms, positions.float())

    def embed(self, starts: Tensor, *, flat: bool) -> Relaxed:
        for fourth_k, max_steps, tolerance in EMBEDDING:
            settings = DescentSettings(tolerance, max_steps, 1.0, HISTORY, self._seconds())
            found = native_restraints.restrain(self._restraints[flat], starts, fourth_k, settings)
            starts = found.positions
        return Relaxed(starts[:3].contiguous(), found.energy)

    def turn_bonds(self, positions: Tensor, schedule: Tensor, seeds: Sequence[int]) -> Tensor:
        moved, _ = native_loops.turn_bonds(
            self._terms, self._rotors, positions, schedule=schedule, seeds=seeds, seconds=self._seconds()
        )
        return moved

    def anneal(self, positions: Tensor, schedule: Tensor, seeds: Sequence[int]) -> Tensor:
        return native_loops.follow(
            self._terms,
            positions,
            masses=repartition_hydrogen_mass(self._topology),
            schedule=schedule,
            time_step=TIME_STEP,
            friction=FRICTION,
            seeds=seeds,
            seconds=self._seconds(),
        )

    def relax(
        self, positions: Tensor, *, force_tolerance: float, max_steps: int, tether: Tensor | None = None
    ) -> Relaxed:
        settings = DescentSettings(force_tolerance, max_steps, history=HISTORY, seconds=self._seconds(), tether=tether)
        found = native_loops.minimise(self._terms, positions, settings)
        return Relaxed(found.positions, found.energy)

    def relax_alone(
        self, positions: Tensor, *, force_tolerance: float, max_steps: int, tether: Tensor | None = None
    ) -> Relaxed:
        settings = DescentSettings(force_tolerance, max_steps, history=HISTORY, seconds=self._seconds(), tether=tether)
        found = native_loops.minimise_alone(self._terms, positions, settings)
        return Relaxed(found.positions, found.energy)

    def _seconds(self) -> float:
        return self._deadline - time.monotonic()


class TorchEngine:
    """The same in PyTorch, for all molecules at once."""

    def __init__(self, topology: Topology, parameters: Parameters, backend: Backend, deadline: float) -> None:
        self._topology = topology
        self._parameters = parameters
        self._deadline = deadline
        self._energy = self._timed(MechanicalEnergy(topology, parameters, backend))

    @functools.cached_property
    def _restraints(self) -> tuple[Restraints, Restraints]:
        return _restraints(self._topology, self._parameters)

    @functools.cached_property
    def n_rotors(self) -> int:
        return int(torch.bincount(find_rotors(self._topology).molecule, minlength=1).max())

    def energy(self, positions: Tensor) -> Tensor:
        return self._energy(positions)

    def embed(self, starts: Tensor, *, flat: bool) -> Relaxed:
        for fourth_k, max_steps, tolerance in EMBEDDING:
            pull = functools.partial(restraint_energy, self._restraints[flat], self._topology, fourth_k=fourth_k)
            found = minimise(
                self._timed(pull),
                self._topology,
                starts,
                force_tolerance=tolerance,
                max_steps=max_steps,
                max_displacement=1.0,
                history=HISTORY,
            )
            starts = found.positions
        return Relaxed(starts[:3].contiguous(), found.energy)

    def turn_bonds(self, positions: Tensor, schedule: Tensor, seeds: Sequence[int]) -> Tensor:
        generator = Generator(positions.device).manual_seed(seeds[0])
        sampler = torsion_rotation(self._energy, self._topology)
        state = sampler.init(positions)
        *_, (state, _) = anneal(sampler, state, schedule=schedule.tolist(), steps_per_kT=1, generator=generator)
        return state.positions

    def anneal(self, positions: Tensor, schedule: Tensor, seeds: Sequence[int]) -> Tensor:
        generator = Generator(positions.device).manual_seed(seeds[0])
        masses = repartition_hydrogen_mass(self._topology)
        sampler = baoab(self._energy, self._topology, masses=masses, time_step=TIME_STEP, friction=FRICTION)
        kT = schedule.tolist()
        velocities = maxwell_boltzmann(self._topology, masses, positions, kT=kT[0], generator=generator)
        state = sampler.init(positions)._replace(velocities=velocities)
        sampler = graphed(sampler, state, generator=generator)
        *_, (state, _) = anneal(sampler, state, schedule=kT, steps_per_kT=1, generator=generator)
        return state.positions

    def relax(
        self, positions: Tensor, *, force_tolerance: float, max_steps: int, tether: Tensor | None = None
    ) -> Relaxed:
        found = minimise(
            self._energy,
            self._topology,
            positions,
            force_tolerance=force_tolerance,
            max_steps=max_steps,
            history=HISTORY,
            tether=tether,
        )
        return Relaxed(found.positions, found.energy)

    def relax_alone(
        self, positions: Tensor, *, force_tolerance: float, max_steps: int, tether: Tensor | None = None
    ) -> Relaxed:
        return self.relax(positions.float(), force_tolerance=force_tolerance, max_steps=max_steps, tether=tether)

    def _timed(self, energy: EnergyFn) -> TimedEnergy:
        return TimedEnergy(energy, self._deadline)


def _restraints(topology: Topology, parameters: Parameters) -> tuple[Restraints, Restraints]:
    """What all conformers meet, and that with what most meet."""
    by_all, flat = restraints_of(topology, parameters), flat_bonds(topology, parameters)
    return by_all, restraints_of(topology, parameters, flat_bonds=flat) if flat.ends.numel() else by_all
