"""The kernel in C, where the package was built with a compiler: fast from the first call.

It is for the CPU in single precision, has first derivatives only and at most six torsion
harmonics; `kernel` serves where that does not do.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn.functional import pad

from molebm.forcefield.energy import EnergyForces
from molebm.forcefield.kernel import pair_charges
from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology

HARMONICS: Final = 6
_VERSION: Final = 1  # of the structures below, as in native.c
_KINDS: Final = ("bonds", "angles", "torsions", "impropers", "pairs")
_COLUMNS: Final = {  # what the C code reads, and the terms whose columns they are
    "bond_k": "bonds",
    "bond_length": "bonds",
    "angle_k": "angles",
    "angle_theta": "angles",
    "stretch_bend_k": "angles",
    "torsion_v": "torsions",
    "improper_k": "impropers",
    "pair_radius": "pairs",
    "pair_depth": "pairs",
    "pair_charge": "pairs",
}


class _Topology(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int64) for name in ("n_molecules", "n_atoms", "largest", *(f"n_{kind}" for kind in _KINDS))),
        *((f"{kind}_start", ctypes.c_void_p) for kind in ("atoms", *_KINDS)),
        *((name, ctypes.c_void_p) for name in (*_KINDS, "angle_bonds", "angle_linear")),
    ]


class _Columns(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _COLUMNS]


@dataclass(frozen=True, slots=True)
class NativeTerms:
    """A topology and its parameters as the C code reads them."""

    structure: _Topology
    indices: tuple[Tensor, ...]  # int32, what the structure points into
    columns: tuple[Tensor, ...]  # float32, the parameters when they were bound


def native_available() -> bool:
    """Whether the extension is there, in the version that this module speaks."""
    return _library() is not None


@functools.cache
def _library() -> ctypes.CDLL | None:
    spec = find_spec("molebm.forcefield._native")
    if spec is None or spec.origin is None:
        return None
    library = ctypes.CDLL(spec.origin)
    library.molebm_evaluate.argtypes = [ctypes.c_void_p] * 3 + [ctypes.c_int64] + [ctypes.c_void_p] * 4
    return library if library.molebm_version() == _VERSION else None


def can_run(topology: Topology, parameters: Parameters) -> bool:
    """Whether the C code is there and made for this device, precision and number of torsion harmonics."""
    values = [getattr(parameters, field.name) for field in fields(parameters)]
    return (
        native_available()
        and all(value.device.type == "cpu" for value in (topology.molecule, *values))
        and all(value.dtype == torch.float32 for value in values if value.is_floating_point())
        and len(parameters.torsion_v) <= HARMONICS
    )


def columns(topology: Topology, parameters: Parameters) -> tuple[Tensor, ...]:
    """Derive what the C code reads from the parameters, differentiably."""
    derived = {
        "torsion_v": pad(parameters.torsion_v, (0, 0, 0, HARMONICS - len(parameters.torsion_v))),
        "pair_charge": pair_charges(topology, parameters.charge),
    }
    return tuple((derived[n] if n in derived else getattr(parameters, n)).contiguous() for n in _COLUMNS)


@torch.no_grad()
def bind(topology: Topology, parameters: Parameters) -> NativeTerms:
    """Check a topology and its parameters and lay them out for the C code.

    Raises
    ------
    ValueError
        If terms are not in the order of their molecules or reach out of them, or if there is
        not one column of parameters for each term.
    """
    n_terms = {kind: getattr(topology, kind).shape[1] for kind in _KINDS}
    bound = columns(topology, parameters)
    kinds = {**_COLUMNS, "angle_linear": "angles"}
    for (name, kind), column in zip(kinds.items(), (*bound, parameters.angle_linear), strict=True):
        if column.shape[-1] != n_terms[kind]:
            raise ValueError(f"{name} has {column.shape[-1]} columns for the {n_terms[kind]} {kind} of the topology")

    counts = topology.atoms_per_molecule()
    indices = {"atoms_start": _starts(counts), "angle_bonds": topology.angle_bonds}
    sound = [topology.molecule.diff() >= 0, topology.angle_bonds >= 0, topology.angle_bonds < n_terms["bonds"]]
    for kind in _KINDS:
        table = getattr(topology, kind)
        molecule = topology.molecule[table[0]]
        indices[kind] = table - indices["atoms_start"][molecule]
        indices[f"{kind}_start"] = _starts(torch.bincount(molecule, minlength=topology.n_molecules))
        sound += [molecule.diff() >= 0, indices[kind] >= 0, indices[kind] < counts[molecule]]
    if not all(bool(check.all()) for check in sound):
        raise ValueError("atoms and terms must come in the order of their molecules; join topologies by concatenate")

    kept = {name: table.int().contiguous() for name, table in indices.items()}
    kept["angle_linear"] = parameters.angle_linear.to(torch.uint8).contiguous()
    structure = _Topology(
        n_molecules=topology.n_molecules,
        n_atoms=topology.n_atoms,
        largest=max(counts.tolist(), default=0),
        **{f"n_{kind}": n for kind, n in n_terms.items()},
        **{name: table.data_ptr() for name, table in kept.items()},
    )
    return NativeTerms(structure, tuple(kept.values()), bound)


def energy(terms: NativeTerms, positions: Tensor) -> Tensor:
    """Evaluate energies (G, C) kcal/mol of positions (3, N, C), without gradients."""
    return _evaluate(terms, terms.columns, positions)


def energy_and_forces(terms: NativeTerms, positions: Tensor) -> EnergyForces:
    """Evaluate energies (G, C) and forces (3, N, C) together."""
    forces = torch.empty(positions.shape)
    return EnergyForces(_evaluate(terms, terms.columns, positions, forces=forces), forces)


def differentiable_energy(terms: NativeTerms, positions: Tensor, parameter_columns: Sequence[Tensor]) -> Tensor:
    """Evaluate energies (G, C) that can be differentiated once, by the positions and by what `columns` gave."""
    return _Energy.apply(terms, positions, *parameter_columns)


class _Energy(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, terms: NativeTerms, positions: Tensor, *parameters: Tensor) -> Tensor:
        ctx.terms = terms
        ctx.save_for_backward(positions, *parameters)
        return _evaluate(terms, parameters, positions)

    @staticmethod
    def backward(ctx: Any, weight: Tensor) -> tuple[Tensor | None, ...]:
        by_parameters = any(ctx.needs_input_grad[2:])
        return (None, *_Gradient.apply(ctx.terms, by_parameters, weight, *ctx.saved_tensors))


class _Gradient(torch.autograd.Function):
    """The gradient of the weighted sum of energies; an operation of its own to refuse a second derivative."""

    @staticmethod
    def forward(
        ctx: Any, terms: NativeTerms, by_parameters: bool, weight: Tensor, positions: Tensor, *parameters: Tensor
    ) -> tuple[Tensor | None, ...]:
        forces = torch.empty(positions.shape)
        gradients = [torch.zeros(p.shape) for p in parameters] if by_parameters else None
        _evaluate(terms, parameters, positions, weight=weight, forces=forces, gradients=gradients)
        return (forces.neg_(), *(gradients or (None for _ in parameters)))

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> None:
        raise RuntimeError("the native kernel has no second derivatives; use MechanicalEnergy(..., backend='torch')")


def _evaluate(
    terms: NativeTerms,
    parameters: Sequence[Tensor],
    positions: Tensor,
    *,
    weight: Tensor | None = None,
    forces: Tensor | None = None,
    gradients: Sequence[Tensor] | None = None,
) -> Tensor:
    if positions.dim() != 3 or positions.shape[:2] != (3, terms.structure.n_atoms):
        raise ValueError(f"positions are {tuple(positions.shape)}, not (3, {terms.structure.n_atoms}, C)")
    positions = positions.contiguous()  # kept by name: the C code reads what these hold
    weight = weight.contiguous() if weight is not None else None
    energies = torch.empty((terms.structure.n_molecules, positions.shape[2]))
    library = _library()
    if library is None or library.molebm_evaluate(
        ctypes.byref(terms.structure),
        ctypes.byref(_pointers(parameters)),
        positions.data_ptr(),
        positions.shape[2],
        weight.data_ptr() if weight is not None else None,
        energies.data_ptr(),
        forces.data_ptr() if forces is not None else None,
        ctypes.byref(_pointers(gradients)) if gradients is not None else None,
    ):
        raise MemoryError("the native kernel found no memory for its scratch space")
    return energies


def _pointers(tensors: Sequence[Tensor]) -> _Columns:
    return _Columns(*(tensor.data_ptr() for tensor in tensors))


def _starts(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
