"""The native kernel in automatic differentiation: exact once, by central differences after that."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import torch
from torch import Tensor

from molebm.forcefield.native import NativeTerms, evaluate

DISPLACEMENT: Final = 3e-3  # Å, of the coordinate that moves most in a central difference


def differentiable_energy(terms: NativeTerms, positions: Tensor, parameter_columns: Sequence[Tensor]) -> Tensor:
    """Evaluate energies (G, C) that can be differentiated by the positions and by what `columns` gave.

    The force may be differentiated again, along a direction, as losses on scores and forces do: by a
    central difference of first derivatives, which costs two evaluations whatever the size.
    """
    return _Energy.apply(terms, positions, *parameter_columns)


class _Energy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, terms: NativeTerms, positions: Tensor, *parameters: Tensor) -> Tensor:
        ctx.terms = terms
        ctx.save_for_backward(positions, *parameters)
        return evaluate(terms, parameters, positions)

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        by_parameters = any(ctx.needs_input_grad[2:])
        return (None, *_Gradient.apply(ctx.terms, by_parameters, weight, *ctx.saved_tensors))


class _Gradient(torch.autograd.Function):
    """The gradient of the weighted sum of energies; its own derivative along a direction is a central difference."""

    @staticmethod
    def forward(
        ctx: Any, terms: NativeTerms, by_parameters: bool, weight: Tensor, positions: Tensor, *parameters: Tensor
    ) -> tuple[Tensor | None, ...]:
        ctx.terms = terms
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(weight, positions, *parameters)
        forces = torch.empty(positions.shape)
        gradients = [torch.zeros(p.shape) for p in parameters] if by_parameters else None
        evaluate(terms, parameters, positions, weight=weight, forces=forces, gradients=gradients)
        return (forces.neg_(), *(gradients or (None for _ in parameters)))

    @staticmethod
    def backward(ctx: Any, along: Tensor | None, *by_parameters: Tensor | None) -> tuple[Tensor | None, ...]:
        if any(gradient is not None for gradient in by_parameters):
            raise RuntimeError("the native kernel has no such derivative; use MechanicalEnergy(..., backend='torch')")
        if along is None:
            return (None,) * (2 + len(ctx.saved_tensors))
        weight, positions, *parameters = ctx.saved_tensors
        step = _step(ctx.terms, along)  # (G, C)
        shift = step[ctx.terms.molecule] * along  # (3, N, C)
        ends = positions + shift, positions - shift
        by_weight = None
        if ctx.needs_input_grad[2]:
            up, down = (_Energy.apply(ctx.terms, end, *parameters) for end in ends)
            by_weight = (up - down) / (2 * step)
        needed = any(ctx.needs_input_grad[4:])
        up, down = (_Gradient.apply(ctx.terms, needed, weight / (2 * step), end, *parameters) for end in ends)
        derivatives = (None if u is None else u - d for u, d in zip(up, down, strict=True))
        return (None, None, by_weight, *derivatives)


def _step(terms: NativeTerms, along: Tensor) -> Tensor:
    """Length of the step, (G, C), with which no coordinate moves further than DISPLACEMENT."""
    size = along.detach().abs().amax(0)  # (N, C)
    largest = size.new_zeros((terms.structure.n_molecules, size.shape[1]))
    largest = largest.scatter_reduce(0, terms.molecule[:, None].expand_as(size), size, "amax")
    return DISPLACEMENT / largest.clamp(min=torch.finfo(along.dtype).tiny ** 0.5)
