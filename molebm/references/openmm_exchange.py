"""Replica exchange in OpenMM: reference samples on both sides of barriers that one temperature rarely crosses."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit

from molebm.errors import MoleculeError, RequestError
from molebm.references.openmm_energy import open_context
from molebm.references.openmm_md import Phase, advance, phase, seeds
from molebm.units import BOLTZMANN


class Rung(NamedTuple):
    """The configuration that is at one temperature."""

    positions: NDArray[np.float32]  # (N, 3) Å, about their centre
    energy: float  # kcal/mol
    forces: NDArray[np.float32]  # (N, 3) kcal/mol/Å


class Ladder(NamedTuple):
    """All temperatures of one replica-exchange run at one time."""

    rungs: list[Rung]
    acceptance: NDArray[np.float64]  # (T - 1,) mean probability of a swap between neighbours so far


def replica_exchange(
    system: openmm.System,
    start: NDArray[np.float64],
    *,
    temperatures: Sequence[float],
    n_frames: int,
    ps_between_frames: float,
    ps_between_swaps: float,
    seed: int,
    equilibration_ps: float,
    time_step_fs: float,
    friction: float,
    platform: str | None = None,
) -> Iterator[Ladder]:
    r"""Run Langevin dynamics at every temperature, let neighbours swap, and yield the whole ladder now and then.

    A swap is accepted with probability :math:`\min(1, e^{(\beta_i - \beta_j)(E_i - E_j)})`, which leaves the
    distribution at every temperature as it was; velocities are rescaled by :math:`\sqrt{T'/T}`. Even and odd
    pairs take turns. The same seed gives the same bits on the Reference platform, whose stream of random
    numbers belongs to the process: interleave no other dynamics. The CPU platform is given one thread.

    Parameters
    ----------
    start
        (N, 3) Å, relaxed here before the dynamics begins.
    temperatures
        K, rising.
    friction
        1/ps.
    platform
        Name of an OpenMM platform; the fastest one that works if not given.

    Raises
    ------
    RequestError
        If the system and the start differ in their number of atoms, if the temperatures do not rise, if the
        frames, swaps and steps are not apart in that order, or if the platform cannot run the system.
    MoleculeError
        If a trajectory blows up.

    References
    ----------
    Sugita and Okamoto, Chem. Phys. Lett. 314, 141 (1999).
    """
    if len(start) != system.getNumParticles():
        raise RequestError(f"the system has {system.getNumParticles()} particles and the start {len(start)} atoms")
    if sorted(set(temperatures)) != list(temperatures) or not temperatures:
        raise RequestError(f"the temperatures of a ladder rise, and these do not: {list(temperatures)}")
    steps = round(1e3 * ps_between_swaps / time_step_fs)
    rounds = round(ps_between_frames / ps_between_swaps)
    if steps < 1 or rounds < 1:
        raise RequestError(
            f"a frame every {ps_between_frames} ps needs a swap at least as often, not every {ps_between_swaps} ps, "
            f"and a swap at least one step of {time_step_fs} fs"
        )
    integrator_seed, velocity_seed, swap_seed = seeds(seed, 3)
    integrator = openmm.LangevinMiddleIntegrator(temperatures[0], friction, 1e-3 * time_step_fs)  # K, 1/ps, ps
    integrator.setRandomNumberSeed(integrator_seed)
    context = open_context(system, integrator, platform=platform, n_threads=1)
    generator = np.random.default_rng(swap_seed)
    beta = 1 / (BOLTZMANN * np.array(temperatures))

    def ladders() -> Iterator[Ladder]:
        context.setPositions(start / 10)
        openmm.LocalEnergyMinimizer.minimize(context, maxIterations=500)
        replicas = []
        for rung, temperature in enumerate(temperatures):
            context.setVelocitiesToTemperature(temperature, velocity_seed + rung)
            replicas.append(phase(context))
        before = round(equilibration_ps / ps_between_swaps)
        tried, accepted = np.zeros(len(beta) - 1), np.zeros(len(beta) - 1)
        for n in range(1, before + n_frames * rounds + 1):
            energies = np.empty(len(beta))
            for rung, temperature in enumerate(temperatures):
                integrator.setTemperature(temperature)
                replicas[rung] = advance(context, replicas[rung], steps, rung)
                energies[rung] = _energy(context)
            for low in range(n % 2, len(beta) - 1, 2):
                high = low + 1
                log_ratio = (beta[low] - beta[high]) * (energies[low] - energies[high])
                tried[low] += 1
                accepted[low] += np.exp(min(0.0, log_ratio))
                if generator.random() < np.exp(min(0.0, log_ratio)):
                    rescale = (temperatures[low] / temperatures[high]) ** 0.5
                    cooled = Phase(replicas[high].positions, replicas[high].velocities * rescale)
                    heated = Phase(replicas[low].positions, replicas[low].velocities / rescale)
                    replicas[low], replicas[high] = cooled, heated
            if n > before and (n - before) % rounds == 0:
                yield Ladder([_rung(context, replica) for replica in replicas], accepted / np.maximum(tried, 1))

    return ladders()


def _energy(context: openmm.Context) -> float:
    energy = context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilocalorie_per_mole)
    if not np.isfinite(energy):
        raise MoleculeError("a trajectory blew up; start from a relaxed conformer or take a shorter time step")
    return energy


def _rung(context: openmm.Context, replica: Phase) -> Rung:
    context.setPositions(replica.positions)
    state = context.getState(energy=True, forces=True)
    forces = state.getForces(asNumpy=True).value_in_unit(unit.kilocalorie_per_mole / unit.angstrom)
    with np.errstate(over="ignore"):  # what has blown up shows as infinite
        return Rung(
            (10 * (replica.positions - replica.positions.mean(0))).astype(np.float32),
            state.getPotentialEnergy().value_in_unit(unit.kilocalorie_per_mole),
            forces.astype(np.float32),
        )
