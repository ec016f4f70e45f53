"""Any program that returns an energy and forces, as an energy function."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.autograd.function import FunctionCtx

from molebm.errors import RequestError
from molebm.forcefield.energy import EnergyForces

Evaluate = Callable[[NDArray[np.float64]], tuple[float, NDArray[np.float64]]]
"""Maps one conformer (N, 3) Å to its energy in kcal/mol and its forces (N, 3) kcal/mol/Å."""


@dataclass(frozen=True, slots=True)
class ExternalEnergy:
    """E(x) of one molecule, computed outside torch one conformer after the other, on the CPU and in float64.

    Differentiable once in the positions. Energies and forces come back in the floating-point type and on the
    device of the positions. A conformer with a non-finite coordinate is not shown to `evaluate` and has NaN
    for energy and forces; `evaluate` may return NaN for what it cannot compute.
    """

    evaluate: Evaluate

    def __call__(self, positions: Tensor) -> Tensor:
        """Evaluate positions (3, N, C) Å, giving (1, C) kcal/mol."""
        energy, _ = _External.apply(positions, self.evaluate)
        return energy

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate energies (1, C) and forces (3, N, C) kcal/mol/Å, detached.

        Raises
        ------
        RequestError
            If `evaluate` returns forces that are not of the shape of the conformer.
        """
        frames = positions.detach().to("cpu", torch.float64).permute(2, 1, 0).contiguous().numpy()  # (C, N, 3)
        energies = np.full(len(frames), np.nan)
        forces = np.full_like(frames, np.nan)
        for c, frame in enumerate(frames):
            if np.isfinite(frame).all():
                energies[c], force = self.evaluate(frame)
                if np.shape(force) != frame.shape:
                    raise RequestError(f"the function returned forces {np.shape(force)} for a conformer {frame.shape}")
                forces[c] = force
        return EnergyForces(
            torch.from_numpy(energies)[None].to(positions),
            torch.from_numpy(forces).permute(2, 1, 0).to(positions).contiguous(),
        )


class _External(torch.autograd.Function):
    @staticmethod
    def forward(positions: Tensor, evaluate: Evaluate) -> EnergyForces:
        return ExternalEnergy(evaluate).energy_and_forces(positions)

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, Evaluate], output: tuple[Tensor, Tensor]) -> None:
        positions, (_, forces) = inputs[0], output
        ctx.mark_non_differentiable(forces)
        ctx.save_for_backward(positions, forces)

    @staticmethod
    def backward(ctx: Any, grad_energy: Tensor, _: Tensor) -> tuple[Tensor, None]:
        positions, forces = ctx.saved_tensors
        return _Pullback.apply(grad_energy, positions, forces), None


class _Pullback(torch.autograd.Function):
    """dL/dx = -F dL/dE; it takes x only to refuse the derivative of F, which would else be zero unnoticed."""

    @staticmethod
    def forward(grad_energy: Tensor, positions: Tensor, forces: Tensor) -> Tensor:
        return -forces * grad_energy

    @staticmethod
    def setup_context(ctx: FunctionCtx, inputs: tuple[Tensor, Tensor, Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor, None, None]:
        raise RequestError(
            "an external energy has no second derivatives; compute its forces with energy_and_forces and "
            "use them as constants"
        )
