"""The kernel in C, where the package was built with a compiler: fast from the first call.

It is for the CPU in single precision and has at most six torsion harmonics. First derivatives are
exact; those of forces, as in training on scores, are central differences, good to about 1e-3. `kernel` serves
where that does not do.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from dataclasses import dataclass, fields
from importlib.util import find_spec
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import pad

from molebm.errors import RequestError
from molebm.forcefield.energy import EnergyForces
from molebm.forcefield.kernel import pair_charges
from molebm.forcefield.parameters import COLUMNS, Parameters
from molebm.topology import Topology

HARMONICS: Final = 6
_VERSION: Final = 5  # of the structures and calls below, as in native.c
_KINDS: Final = ("bonds", "angles", "torsions", "impropers", "pairs")
_ROWS: Final = {"stretch_bend_k": 2, "torsion_v": HARMONICS}
_READ: Final = (  # the parameters that the C code reads, in its order; and then the derived pair_charge
    "bond_k",
    "bond_length",
    "angle_k",
    "angle_theta",
    "stretch_bend_k",
    "torsion_v",
    "improper_k",
    "pair_radius",
    "pair_depth",
)
_COLUMNS: Final = {**{name: COLUMNS[name] for name in _READ}, "pair_charge": "pairs"}


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
    molecule: Tensor  # (N,) int64, molecule of each atom


def native_available() -> bool:
    """Whether the extension is there, in the version that this module speaks."""
    return _load() is not None


def library() -> ctypes.CDLL:
    """Return the extension.

    Raises
    ------
    RequestError
        If it is not there.
    """
    loaded = _load()
    if loaded is None:
        raise RequestError("the native kernel was not built; install with a C compiler, or use backend='torch'")
    return loaded


@functools.cache
def _load() -> ctypes.CDLL | None:
    spec = find_spec("molebm.forcefield._native")
    if spec is None or spec.origin is None:
        return None
    loaded = ctypes.CDLL(spec.origin)
    if loaded.molebm_version() != _VERSION:
        return None
    pointer, count, seconds = ctypes.c_void_p, ctypes.c_int64, ctypes.c_double
    loaded.molebm_evaluate.argtypes = [pointer, pointer, pointer, count, pointer, pointer, pointer, pointer]
    loaded.molebm_localise.argtypes = [pointer, pointer, count, pointer, count, count, pointer, pointer]
    loaded.molebm_minimise.argtypes = [pointer, pointer, count, pointer, pointer]
    loaded.molebm_minimise_alone.argtypes = [pointer, pointer, count, pointer, pointer]
    loaded.molebm_embed.argtypes = [pointer, count, pointer, pointer]
    loaded.molebm_turn_bonds.argtypes = [
        *(pointer, pointer, pointer, count, pointer, count, pointer, pointer, pointer, seconds)
    ]
    loaded.molebm_follow.argtypes = [pointer, pointer, count, pointer, pointer, pointer]
    return loaded


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
    RequestError
        If the extension is not there.
    ValueError
        If terms are not in the order of their molecules or reach out of them, or if there is
        not one column of parameters for each term.
    """
    localise = library().molebm_localise
    n_terms = {kind: getattr(topology, kind).shape[1] for kind in _KINDS}
    linear = parameters.angle_linear.to(torch.uint8).contiguous()
    bound = columns(topology, parameters)
    for name, column in (*zip(_COLUMNS, bound, strict=True), ("angle_linear", linear)):
        kind = _COLUMNS.get(name, "angles")
        if column.numel() != _ROWS.get(name, 1) * n_terms[kind]:
            raise ValueError(f"{name} is {tuple(column.shape)} for the {n_terms[kind]} {kind} of the topology")

    molecule, angle_bonds = topology.molecule.contiguous(), topology.angle_bonds.int().contiguous()
    atoms_start = torch.cat([molecule.new_zeros(1), topology.atoms_per_molecule().cumsum(0)]).int()
    in_order = len(atoms_start) == topology.n_molecules + 1 and bool((molecule.diff() >= 0).all())
    in_order &= bool(((angle_bonds >= 0) & (angle_bonds < n_terms["bonds"])).all())
    indices = {"atoms_start": atoms_start, "angle_bonds": angle_bonds, "angle_linear": linear}
    for kind in _KINDS:
        table = getattr(topology, kind).contiguous()
        local, start = torch.empty_like(table, dtype=torch.int32), torch.zeros_like(atoms_start)
        of_atoms = (molecule.data_ptr(), atoms_start.data_ptr(), topology.n_molecules)
        of_terms = (table.data_ptr(), *table.shape, local.data_ptr(), start.data_ptr())
        in_order = in_order and not localise(*of_atoms, *of_terms)
        indices |= {kind: local, f"{kind}_start": start}
    if not in_order:
        raise ValueError("atoms and terms must come in the order of their molecules; join topologies by concatenate")
    structure = _Topology(
        n_molecules=topology.n_molecules,
        n_atoms=topology.n_atoms,
        largest=max(atoms_start.diff().tolist(), default=0),
        **{f"n_{kind}": n for kind, n in n_terms.items()},
        **{name: table.data_ptr() for name, table in indices.items()},
    )
    return NativeTerms(structure, tuple(indices.values()), bound, molecule)


def energy(terms: NativeTerms, positions: Tensor) -> Tensor:
    """Evaluate energies (G, C) kcal/mol of positions (3, N, C), without gradients."""
    return evaluate(terms, terms.columns, positions)


def energy_and_forces(terms: NativeTerms, positions: Tensor) -> EnergyForces:
    """Evaluate energies (G, C) and forces (3, N, C) together."""
    forces = torch.empty(positions.shape)
    return EnergyForces(evaluate(terms, terms.columns, positions, forces=forces), forces)


def evaluate(
    terms: NativeTerms,
    parameters: Sequence[Tensor],
    positions: Tensor,
    *,
    weight: Tensor | None = None,
    forces: Tensor | None = None,
    gradients: Sequence[Tensor] | None = None,
) -> Tensor:
    """Evaluate energies (G, C) and fill `forces` and, with the energies weighed by `weight`, `gradients` if given."""
    if positions.dim() != 3 or positions.shape[:2] != (3, terms.structure.n_atoms):
        raise ValueError(f"positions are {tuple(positions.shape)}, not (3, {terms.structure.n_atoms}, C)")
    positions = positions.contiguous()  # kept by name: the C code reads what these hold
    weight = weight.contiguous() if weight is not None else None
    energies = torch.empty((terms.structure.n_molecules, positions.shape[2]))
    failed = library().molebm_evaluate(
        ctypes.byref(terms.structure),
        ctypes.byref(as_columns(parameters)),
        positions.data_ptr(),
        positions.shape[2],
        weight.data_ptr() if weight is not None else None,
        energies.data_ptr(),
        forces.data_ptr() if forces is not None else None,
        ctypes.byref(as_columns(gradients)) if gradients is not None else None,
    )
    if failed:
        raise MemoryError("the native kernel found no memory for its scratch space")
    return energies


def as_columns(tensors: Sequence[Tensor]) -> ctypes.Structure:
    """Point at parameters, or at room for their gradients, as the C code takes them."""
    return _Columns(*(tensor.data_ptr() for tensor in tensors))
