"""The parameter space: MMFF94 is one point of it, the graph network's output another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor


@dataclass(frozen=True, slots=True)
class Parameters:
    """The tensors of the kernel, one column per term of the topology they belong to.

    The functional form is that of MMFF94 with its constants folded in, so that force constants
    are plain kcal/mol per Å and rad, and with room for more torsion harmonics.
    """

    bond_k: Tensor  # (B,) kcal/mol/Å²
    bond_length: Tensor  # (B,) Å
    angle_k: Tensor  # (A,) kcal/mol/rad²
    angle_theta: Tensor  # (A,) rad
    angle_linear: Tensor  # (A,) bool, k (1 + cos θ) in place of the cubic form
    stretch_bend_k: Tensor  # (2, A) kcal/mol/Å/rad, for the bonds 0-1 and 1-2 of each angle
    torsion_v: Tensor  # (H, T) kcal/mol, V1..VH
    improper_k: Tensor  # (O,) kcal/mol/rad²
    pair_radius: Tensor  # (P,) Å, distance of the van der Waals minimum
    pair_depth: Tensor  # (P,) kcal/mol, its depth
    charge: Tensor  # (N,) e

    def map(self, function: Callable[[Tensor], Tensor]) -> Parameters:
        """Apply a function to every floating-point tensor."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return Parameters(**{n: function(v) if v.is_floating_point() else v for n, v in values})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Parameters:
        """Return the same parameters on `device` and in the floating-point type `dtype`."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self)}
        return Parameters(**moved).map(lambda value: value.to(dtype))


def concatenate_parameters(parts: Sequence[Parameters]) -> Parameters:
    """Join the parameters of several molecules, in the order of their topologies."""
    return Parameters(**{f.name: torch.cat([getattr(p, f.name) for p in parts], dim=-1) for f in fields(Parameters)})
