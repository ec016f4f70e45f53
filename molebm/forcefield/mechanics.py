"""The kernel bound to one topology and one point of parameter space: an energy function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from molebm.forcefield import kernel
from molebm.forcefield.energy import EnergyForces
from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology


@dataclass(frozen=True, slots=True)
class MechanicalEnergy:
    """E(x) of the MMFF form; differentiable in the positions and in the parameters.

    The compiled kernel costs tens of seconds the first time on a machine and some seconds from
    the compiler's cache, and is then many times faster: turn it on for long runs only.
    """

    topology: Topology
    parameters: Parameters
    compiled: bool = False

    def __call__(self, positions: Tensor) -> Tensor:
        """Evaluate positions (3, N, C) Å, giving (G, C) kcal/mol."""
        return kernel.energy(self.topology, self.parameters, positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate energies (G, C) and forces (3, N, C) kcal/mol/Å, detached."""
        evaluate = _compiled() if self.compiled else _energy_and_gradient
        with torch.no_grad():
            gradient, energy = evaluate(self.topology, self.parameters, positions)
        return EnergyForces(energy, gradient.neg_())


def _energy_and_gradient(topology: Topology, parameters: Parameters, positions: Tensor) -> tuple[Tensor, Tensor]:
    def total(x: Tensor) -> tuple[Tensor, Tensor]:
        energy = kernel.energy(topology, parameters, x)
        return energy.sum(), energy

    return torch.func.grad(total, has_aux=True)(positions)


@functools.cache
def _compiled() -> Callable[[Topology, Parameters, Tensor], tuple[Tensor, Tensor]]:
    return torch.compile(_energy_and_gradient, dynamic=True)
