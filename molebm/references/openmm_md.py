"""Reference ensembles: Langevin dynamics of any `openmm.System`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import openmm
import torch
from numpy.typing import NDArray
from openmm import unit
from torch import Tensor

from molebm.errors import MoleculeError, RequestError
from molebm.references.openmm_energy import open_context


class Phase(NamedTuple):
    """Where one trajectory is, in OpenMM's units."""

    positions: NDArray[np.float64]  # (N, 3) nm
    velocities: NDArray[np.float64]  # (N, 3) nm/ps


def langevin_ensemble(
    system: openmm.System,
    positions: Tensor,
    *,
    temperature: float,
    n_frames: int,
    ps_between_frames: float,
    seed: int,
    equilibration_ps: float = 1.0,
    time_step_fs: float = 1.0,
    friction: float = 1.0,
    platform: str | None = None,
) -> Iterator[Tensor]:
    """Run one trajectory from each of C conformers and yield `n_frames` times where all of them are.

    Frames are (3, N, C) Å, of the type and on the device of `positions`. The velocities start from their
    thermal distribution. The same seed gives the same bits on the Reference platform, and frames that follow
    the same distribution elsewhere. Centres of mass diffuse and molecules turn.

    Parameters
    ----------
    positions
        (3, N, C) Å, near a minimum: a clash would blow the trajectory up.
    temperature
        K.
    time_step_fs
        1 fs is safe where hydrogens have their natural mass.
    friction
        1/ps.
    platform
        Name of an OpenMM platform; the fastest one that works if not given.

    Raises
    ------
    RequestError
        If the system and the positions differ in their number of atoms, if the frames are less than one time
        step apart, or if the platform cannot run the system.
    MoleculeError
        If a trajectory blows up.

    References
    ----------
    Zhang, Liu, Yan, Tuckerman and Liu, J. Phys. Chem. A 123, 6056 (2019).
    """
    steps_before, steps_between = (round(1e3 * ps / time_step_fs) for ps in (equilibration_ps, ps_between_frames))
    if steps_between < 1:
        raise RequestError(f"frames {ps_between_frames} ps apart are less than one step of {time_step_fs} fs apart")
    n_atoms, n_trajectories = positions.shape[1:]
    if n_atoms != system.getNumParticles():
        raise RequestError(f"the system has {system.getNumParticles()} particles and the positions {n_atoms}")
    integrator_seed, *velocity_seeds = seeds(seed, 1 + n_trajectories)
    integrator = openmm.LangevinMiddleIntegrator(temperature, friction, 1e-3 * time_step_fs)  # K, 1/ps, ps
    integrator.setRandomNumberSeed(integrator_seed)
    context = open_context(system, integrator, platform=platform)

    starts = positions.detach().to("cpu", torch.float64).permute(2, 1, 0).contiguous().numpy() / 10  # (C, N, 3) nm

    def frames() -> Iterator[Tensor]:
        phases = []
        for start, velocity_seed in zip(starts, velocity_seeds, strict=True):
            context.setPositions(start)
            context.setVelocitiesToTemperature(temperature, velocity_seed)
            phases.append(phase(context))
        phases = [advance(context, now, steps_before, c) for c, now in enumerate(phases)]
        for _ in range(n_frames):
            phases = [advance(context, now, steps_between, c) for c, now in enumerate(phases)]
            frame = 10 * np.stack([now.positions.T for now in phases], axis=-1)  # (3, N, C) Å
            yield torch.from_numpy(frame).to(positions)

    return frames()


def advance(context: openmm.Context, start: Phase, n_steps: int, trajectory: int) -> Phase:
    """Take one trajectory on by some steps; the Context serves them all in turn.

    Raises
    ------
    MoleculeError
        If the trajectory blows up.
    """
    context.setPositions(start.positions)
    context.setVelocities(start.velocities)
    advice = "start from relaxed conformers or take a shorter time step"
    try:
        context.getIntegrator().step(n_steps)
    except openmm.OpenMMException as error:
        raise MoleculeError(f"trajectory {trajectory} stopped ({error}); {advice}") from error
    after = phase(context)
    if not np.isfinite(after.positions).all():
        raise MoleculeError(f"trajectory {trajectory} blew up; {advice}")
    return after


def phase(context: openmm.Context) -> Phase:
    """Read where the trajectory is that the Context holds."""
    state = context.getState(positions=True, velocities=True)
    return Phase(
        state.getPositions(asNumpy=True).value_in_unit(unit.nanometer),
        state.getVelocities(asNumpy=True).value_in_unit(unit.nanometer / unit.picosecond),
    )


def seeds(seed: int, n: int) -> list[int]:
    """Make n seeds of one, none of them 0, which OpenMM takes as a wish for chance."""
    return (1 + np.random.SeedSequence(seed).generate_state(n) % (2**31 - 1)).tolist()
