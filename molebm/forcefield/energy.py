"""The abstraction that everything stands on, and the one place where a force is defined."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

EnergyFn = Callable[[Tensor], Tensor]
"""Maps positions (3, N, C) Å to one energy per conformer of each molecule, (G, C) kcal/mol."""


class EnergyForces(NamedTuple):
    """An energy and its negative gradient."""

    energy: Tensor  # (G, C) kcal/mol
    forces: Tensor  # (3, N, C) kcal/mol/Å


def energy_and_forces(energy_fn: EnergyFn, positions: Tensor, *, create_graph: bool = False) -> EnergyForces:
    """Evaluate E and F = -dE/dx.

    An energy function that carries its own `energy_and_forces` (a compiled kernel, say) is asked
    for both at once. Set `create_graph` only to backpropagate through the forces, as force
    matching does; the result is detached otherwise.
    """
    fused = getattr(energy_fn, "energy_and_forces", None)
    if fused is not None and not create_graph:
        return fused(positions)
    with torch.enable_grad():
        x = positions if create_graph and positions.requires_grad else positions.detach().requires_grad_()
        energy = energy_fn(x)
        (gradient,) = torch.autograd.grad(energy.sum(), x, create_graph=create_graph)
    return EnergyForces(energy if create_graph else energy.detach(), -gradient)
