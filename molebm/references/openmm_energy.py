"""Any `openmm.System` as an energy function."""

from __future__ import annotations

import functools
from typing import Final, Literal

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import unit
from torch import Tensor

from molebm.errors import RequestError
from molebm.forcefield.energy import EnergyForces
from molebm.references.external import ExternalEnergy

Precision = Literal["single", "mixed", "double"]

_FASTEST_FIRST: Final = ("CUDA", "HIP", "OpenCL", "CPU", "Reference")
_KCAL: Final = unit.kilocalorie_per_mole


class OpenMMEnergy:
    """E(x) of an `openmm.System`, whatever forces it holds; owns the Context that evaluates it.

    The whole system counts as one molecule: a function of positions (3, N, C) Å that gives (1, C) kcal/mol.
    Differentiable once, see `ExternalEnergy`. Constraints and thermostats of the system do not enter.

    Parameters
    ----------
    platform
        Name of an OpenMM platform; the fastest one that works if not given.
    precision
        For platforms that have a choice, which are those on a GPU.

    Raises
    ------
    RequestError
        If the platform is not there, has no choice of precision, or cannot run this system.
    """

    def __init__(
        self, system: openmm.System, *, platform: str | None = None, precision: Precision | None = None
    ) -> None:
        self.context = open_context(system, openmm.VerletIntegrator(1.0), platform=platform, precision=precision)
        self._external = ExternalEnergy(self._evaluate)

    def __call__(self, positions: Tensor) -> Tensor:
        """Evaluate positions (3, N, C) Å, giving (1, C) kcal/mol."""
        return self._external(positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate energies (1, C) and forces (3, N, C) kcal/mol/Å, detached."""
        return self._external.energy_and_forces(positions)

    def _evaluate(self, positions: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        n_particles = self.context.getSystem().getNumParticles()
        if len(positions) != n_particles:
            raise RequestError(f"the system has {n_particles} particles and the positions {len(positions)}")
        self.context.setPositions(positions * unit.angstrom)
        state = self.context.getState(energy=True, forces=True)
        energy = state.getPotentialEnergy().value_in_unit(_KCAL)
        forces = state.getForces(asNumpy=True).value_in_unit(_KCAL / unit.angstrom)
        return energy, forces


def open_context(
    system: openmm.System,
    integrator: openmm.Integrator,
    *,
    platform: str | None = None,
    precision: Precision | None = None,
    n_threads: int | None = None,
) -> openmm.Context:
    """Open a Context on a platform by name, or on the fastest one that works; see `OpenMMEnergy`.

    `n_threads` limits the CPU platform, which takes all cores if it is not given.
    """
    chosen = _named_platform(platform) if platform else _fastest_platform()
    properties: dict[str, str] = {} if precision is None else {"Precision": precision}
    if precision and "Precision" not in chosen.getPropertyNames():
        raise RequestError(f"the platform {chosen.getName()} has no choice of precision: leave it out")
    if n_threads is not None and chosen.getName() == "CPU":
        properties["Threads"] = str(n_threads)
    try:
        return openmm.Context(system, integrator, chosen, properties)
    except openmm.OpenMMException as error:
        raise RequestError(f"OpenMM cannot run this system on the platform {chosen.getName()}: {error}") from error


def _named_platform(name: str) -> openmm.Platform:
    there = [openmm.Platform.getPlatform(index).getName() for index in range(openmm.Platform.getNumPlatforms())]
    if name not in there:
        raise RequestError(f"OpenMM has no platform {name!r} here; choose from {', '.join(there)}")
    return openmm.Platform.getPlatformByName(name)


@functools.cache
def _fastest_platform() -> openmm.Platform:
    """Try the platforms with one particle, for one that is installed need not find its device."""
    particle = openmm.System()
    particle.addParticle(1.0)
    failures = {}
    for name in _FASTEST_FIRST:
        try:
            platform = openmm.Platform.getPlatformByName(name)
            openmm.Context(particle, openmm.VerletIntegrator(1.0), platform)
        except openmm.OpenMMException as error:
            failures[name] = str(error)
        else:
            return platform
    raise RequestError(f"OpenMM has no platform that works here: {failures}; reinstall OpenMM")
