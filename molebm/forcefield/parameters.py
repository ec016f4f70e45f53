"""The parameter space: MMFF94 is one point of it, the graph network's output another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

import torch
from torch import Tensor


def _along(terms: str) -> Any:
    """Declare a tensor by the index list of the topology whose columns it shares."""
    return field(metadata={"along": terms})


@dataclass(frozen=True, slots=True)
class Parameters:
    """The tensors of the kernel, one column per term of the topology they belong to.

    The functional form is that of MMFF94 with its constants folded in, so that force constants
    are plain kcal/mol per Å and rad, and with room for more torsion harmonics.
    """

    bond_k: Tensor = _along("bonds")  # (B,) kcal/mol/Å²
    bond_length: Tensor = _along("bonds")  # (B,) Å
    angle_k: Tensor = _along("angles")  # (A,) kcal/mol/rad²
    angle_theta: Tensor = _along("angles")  # (A,) rad
    angle_linear: Tensor = _along("angles")  # (A,) bool, k (1 + cos θ) in place of the cubic form
    stretch_bend_k: Tensor = _along("angles")  # (2, A) kcal/mol/Å/rad, for the bonds 0-1 and 1-2 of each angle
    torsion_v: Tensor = _along("torsions")  # (H, T) kcal/mol, V1..VH
    improper_k: Tensor = _along("impropers")  # (O,) kcal/mol/rad²
    pair_radius: Tensor = _along("pairs")  # (P,) Å, distance of the van der Waals minimum
    pair_depth: Tensor = _along("pairs")  # (P,) kcal/mol, its depth
    charge: Tensor = _along("molecule")  # (N,) e

    def map(self, function: Callable[[Tensor], Tensor]) -> Parameters:
        """Apply a function to every floating-point tensor."""
        values = ((f.name, getattr(self, f.name)) for f in fields(self))
        return Parameters(**{n: function(v) if v.is_floating_point() else v for n, v in values})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Parameters:
        """Return the same parameters on `device` and in the floating-point type `dtype`."""
        moved = {f.name: getattr(self, f.name).to(device) for f in fields(self)}
        return Parameters(**moved).map(lambda value: value.to(dtype))


COLUMNS: Final[dict[str, str]] = {f.name: f.metadata["along"] for f in fields(Parameters)}
"""The index list of the topology whose columns each parameter shares, as `Topology.molecule_of` takes it."""


def concatenate_parameters(parts: Sequence[Parameters]) -> Parameters:
    """Join the parameters of several molecules, in the order of their topologies."""
    return Parameters(**{f.name: torch.cat([getattr(p, f.name) for p in parts], dim=-1) for f in fields(Parameters)})


DIELECTRIC: Final = 10.0  # relative permittivity, between that of a binding site and of water
DISPERSION: Final = 0.5  # of the attraction within a molecule that its surroundings do not make up for


def in_medium(parameters: Parameters, *, dielectric: float = DIELECTRIC, dispersion: float = DISPERSION) -> Parameters:
    """Weaken what a surrounding weakens: charges by its relative permittivity, and the wells of van der Waals pairs.

    The permittivity is 1 in a vacuum, about 4 within a protein and 80 in water. `dispersion` is the part of a well's
    depth that is left, since the atoms of the surrounding attract as well.
    """
    return replace(
        parameters, charge=parameters.charge / dielectric**0.5, pair_depth=dispersion * parameters.pair_depth
    )
