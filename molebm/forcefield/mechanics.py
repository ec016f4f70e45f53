"""The kernel bound to one topology and one point of parameter space: an energy function."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Literal

import torch
from torch import Tensor

from molebm.errors import RequestError
from molebm.forcefield import kernel, native
from molebm.forcefield.energy import EnergyForces
from molebm.forcefield.native_derivatives import differentiable_energy
from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology

Backend = Literal["auto", "native", "torch", "compiled"]
"""`native`: C code, single precision on the CPU. `torch`: everything, slowly.
`compiled`: the same compiled when first used, for many evaluations on a GPU. `auto`: native where it can."""


@dataclass(frozen=True, slots=True)
class MechanicalEnergy:
    """E(x) of the MMFF form; differentiable in the positions and in the parameters.

    The parameters are those at the time of binding: make a new energy after changing them in place.
    Derivatives of forces, as in training on scores, are central differences with `native` and exact with `torch`.

    Raises
    ------
    RequestError
        If the native backend is asked for where it cannot run.
    """

    topology: Topology
    parameters: Parameters
    backend: Backend = "auto"
    _terms: native.NativeTerms | None = field(init=False, repr=False, compare=False, default=None)

    def __post_init__(self) -> None:
        if self.backend in ("torch", "compiled"):
            return
        if native.can_run(self.topology, self.parameters):
            object.__setattr__(self, "_terms", native.bind(self.topology, self.parameters))
        elif self.backend == "native":
            raise RequestError(
                "the native kernel needs the built extension, float32 parameters on the CPU and at most "
                f"{native.HARMONICS} torsion harmonics; backend='torch' runs anywhere"
            )

    def __call__(self, positions: Tensor) -> Tensor:
        """Evaluate positions (3, N, C) Å, giving (G, C) kcal/mol."""
        if self._terms is None or not _is_native(positions):
            return kernel.energy(self.topology, self.parameters, positions)
        if torch.is_grad_enabled():
            if _requires_grad(self.parameters):
                columns = native.columns(self.topology, self.parameters)
                return differentiable_energy(self._terms, positions, columns)
            if positions.requires_grad:
                return differentiable_energy(self._terms, positions, self._terms.columns)
        return native.energy(self._terms, positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate energies (G, C) and forces (3, N, C) kcal/mol/Å, detached."""
        if self._terms is not None and _is_native(positions):
            return native.energy_and_forces(self._terms, positions)
        evaluate = _compiled() if self.backend == "compiled" else _energy_and_gradient
        with torch.no_grad():
            gradient, energy = evaluate(self.topology, self.parameters, positions)
        return EnergyForces(energy, gradient.neg_())


def _is_native(positions: Tensor) -> bool:
    return positions.dtype == torch.float32 and positions.device.type == "cpu"


def _requires_grad(parameters: Parameters) -> bool:
    return any(getattr(parameters, f.name).requires_grad for f in fields(parameters))


def _energy_and_gradient(topology: Topology, parameters: Parameters, positions: Tensor) -> tuple[Tensor, Tensor]:
    def total(x: Tensor) -> tuple[Tensor, Tensor]:
        energy = kernel.energy(topology, parameters, x)
        return energy.sum(), energy

    return torch.func.grad(total, has_aux=True)(positions)


@functools.cache
def _compiled() -> Callable[[Topology, Parameters, Tensor], tuple[Tensor, Tensor]]:
    return torch.compile(_energy_and_gradient, dynamic=True)
