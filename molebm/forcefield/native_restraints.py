"""Restraints in C: random coordinates in four dimensions, folded by the thousand."""

from __future__ import annotations

import ctypes
from typing import NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.native import library
from molebm.forcefield.native_loops import Descent, DescentSettings, as_settings, check, prepared
from molebm.forcefield.restraints import Restraints
from molebm.topology import Topology


class _Restraints(ctypes.Structure):
    _fields_ = [
        *((n, ctypes.c_int64) for n in ("n_molecules", "n_atoms", "largest", "n_distances", "n_volumes")),
        *((n, ctypes.c_void_p) for n in ("atom_start", "distance_start", "volume_start", "distances", "volumes")),
        *((n, ctypes.c_void_p) for n in ("distance_lower", "distance_upper", "distance_k")),
        *((n, ctypes.c_void_p) for n in ("volume_lower", "volume_upper", "volume_k")),
        ("fourth_k", ctypes.c_float),
    ]


class NativeRestraints(NamedTuple):
    """Restraints as the C code reads them; it counts atoms from the first of their molecule."""

    atom_start: Tensor  # (G+1,) int32
    distance_start: Tensor  # (G+1,) int32
    volume_start: Tensor  # (G+1,) int32
    distances: Tensor  # (2, D) int32
    volumes: Tensor  # (4, V) int32
    distance_lower: Tensor
    distance_upper: Tensor
    distance_k: Tensor
    volume_lower: Tensor
    volume_upper: Tensor
    volume_k: Tensor


def bind_restraints(topology: Topology, restraints: Restraints) -> NativeRestraints:
    """Lay restraints, which come in the order of their molecules, out for the C code."""
    counts = topology.atoms_per_molecule()
    starts = _from_counts(counts)

    def local(atoms: Tensor) -> Tensor:
        return (atoms - starts[topology.molecule[atoms]]).int().contiguous()

    def first(atoms: Tensor) -> Tensor:
        return _from_counts(torch.bincount(topology.molecule[atoms[0]], minlength=topology.n_molecules)).int()

    numbers = (restraints.distance_lower, restraints.distance_upper, restraints.distance_k)
    volumes = (restraints.volume_lower, restraints.volume_upper, restraints.volume_k)
    return NativeRestraints(
        starts.int(),
        first(restraints.distances),
        first(restraints.volumes),
        local(restraints.distances),
        local(restraints.volumes),
        *(value.float().contiguous() for value in (*numbers, *volumes)),
    )


def _from_counts(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])


def restrain(restraints: NativeRestraints, positions: Tensor, fourth_k: float, settings: DescentSettings) -> Descent:
    """Minimise coordinates (4, N, C) Å in the restraints and in `fourth_k` kcal/mol/Å² along the fourth dimension.

    Raises
    ------
    TimeLimitError
        If it takes longer than `settings.seconds`.
    """
    starts = restraints.atom_start
    structure = _Restraints(
        n_molecules=len(starts) - 1,
        n_atoms=int(starts[-1]),
        largest=int(starts.diff().max()),
        n_distances=restraints.distances.shape[1],
        n_volumes=restraints.volumes.shape[1],
        fourth_k=fourth_k,
        **{name: value.data_ptr() for name, value in restraints._asdict().items()},
    )
    result, out = prepared(positions.float(), structure.n_molecules)
    done = library().molebm_embed(
        ctypes.byref(structure), positions.shape[2], ctypes.byref(as_settings(settings)), ctypes.byref(out)
    )
    check(done)
    return result
