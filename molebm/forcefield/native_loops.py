"""Whole loops in C over the native kernel: descent, dynamics and rotations, each molecule by itself.

A conformer's result depends on its molecule, its coordinates, and where chance is at play on a seed and its column;
never on the molecules or conformers that are computed with it.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.errors import TimeLimitError
from molebm.forcefield.native import NativeTerms, as_columns, library
from molebm.forcefield.restraints import Restraints
from molebm.topology import Topology

_NO_MEMORY, _OUT_OF_TIME = 1, 2
_FOREVER: Final = 1e9  # s


class Descent(NamedTuple):
    """Where descents ended."""

    positions: Tensor  # (D, N, C) Å, in as many dimensions as they began
    energy: Tensor  # (G, C) kcal/mol
    max_force: Tensor  # (G, C) kcal/mol/Å, of the largest force on an atom; NaN where the start is not finite
    steps: Tensor  # (G, C) int64, evaluations after the first


class DescentSettings(NamedTuple):
    """How far and how fast to go down; see `samplers.minimise.minimise`."""

    force_tolerance: float = 0.05  # kcal/mol/Å
    max_steps: int = 1000
    max_displacement: float = 0.2  # Å
    history: int = 8
    seconds: float = _FOREVER  # allowed


class _Settings(ctypes.Structure):
    _fields_ = [
        ("force_tolerance", ctypes.c_float),
        ("max_displacement", ctypes.c_float),
        ("max_steps", ctypes.c_int64),
        ("history", ctypes.c_int64),
        ("seconds", ctypes.c_double),
    ]


class _Descended(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("positions", "energy", "max_force", "steps")]


class _Dynamics(ctypes.Structure):
    _fields_ = [
        ("masses", ctypes.c_void_p),
        ("kT", ctypes.c_void_p),
        ("n_steps", ctypes.c_int64),
        ("time_step", ctypes.c_float),
        ("friction", ctypes.c_float),
        ("seconds", ctypes.c_double),
    ]


class _Rotors(ctypes.Structure):
    _fields_ = [
        ("n_rotors", ctypes.c_int64),
        *((name, ctypes.c_void_p) for name in ("rotor_start", "axes", "moved_start", "moved")),
    ]


class _Restraints(ctypes.Structure):
    _fields_ = [
        *((n, ctypes.c_int64) for n in ("n_molecules", "n_atoms", "largest", "n_distances", "n_volumes")),
        *((n, ctypes.c_void_p) for n in ("atom_start", "distance_start", "volume_start", "distances", "volumes")),
        *((n, ctypes.c_void_p) for n in ("distance_lower", "distance_upper", "distance_k")),
        *((n, ctypes.c_void_p) for n in ("volume_lower", "volume_upper", "volume_k")),
        ("fourth_k", ctypes.c_float),
    ]


class Rotors(NamedTuple):
    """Bonds to rotate about, in the order of their molecules."""

    start: Tensor  # (G+1,) int32, first of each molecule
    axes: Tensor  # (2, R) int32, atoms from the first of their molecule; the second one's side turns
    moved_start: Tensor  # (R,) int64, where the atoms of each begin in `moved`
    moved: Tensor  # uint8, for each bond one for each atom of its molecule


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


def minimise(terms: NativeTerms, positions: Tensor, settings: DescentSettings) -> Descent:
    """Minimise conformers (3, N, C) Å in the energy.

    Raises
    ------
    TimeLimitError
        If it takes longer than `settings.seconds`.
    """
    result, out = _prepared(positions, terms.structure.n_molecules)
    _check(
        library().molebm_minimise(
            ctypes.byref(terms.structure),
            ctypes.byref(as_columns(terms.columns)),
            positions.shape[2],
            ctypes.byref(_settings(settings)),
            ctypes.byref(out),
        )
    )
    return result


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
        **{
            name: getattr(restraints, name).data_ptr()
            for name, kind in _Restraints._fields_
            if kind is ctypes.c_void_p
        },
    )
    result, out = _prepared(positions, structure.n_molecules)
    done = library().molebm_embed(
        ctypes.byref(structure), positions.shape[2], ctypes.byref(_settings(settings)), ctypes.byref(out)
    )
    _check(done)
    return result


def turn_bonds(
    terms: NativeTerms,
    rotors: Rotors,
    positions: Tensor,
    *,
    schedule: Tensor,
    seeds: Sequence[int],
    seconds: float = _FOREVER,
) -> tuple[Tensor, Tensor]:
    """Rotate about random bonds by Metropolis Monte Carlo, one proposal at each kT of `schedule` (S,) kcal/mol.

    Each molecule has a seed. Returns positions (3, N, C) Å and how many proposals were accepted, (G, C) int64.

    Raises
    ------
    TimeLimitError
        If it takes longer than `seconds`.

    References
    ----------
    Li and Scheraga, Proc. Natl. Acad. Sci. USA 84, 6611 (1987).
    """
    moved = positions.float().clone(memory_format=torch.contiguous_format)
    accepted = torch.zeros((terms.structure.n_molecules, positions.shape[2]), dtype=torch.int64)
    schedule = schedule.float().contiguous()
    structure = _Rotors(
        n_rotors=rotors.axes.shape[1],
        rotor_start=rotors.start.data_ptr(),
        axes=rotors.axes.data_ptr(),
        moved_start=rotors.moved_start.data_ptr(),
        moved=rotors.moved.data_ptr(),
    )
    _check(
        library().molebm_turn_bonds(
            ctypes.byref(terms.structure),
            ctypes.byref(as_columns(terms.columns)),
            ctypes.byref(structure),
            positions.shape[2],
            schedule.data_ptr(),
            len(schedule),
            (ctypes.c_uint64 * len(seeds))(*seeds),
            moved.data_ptr(),
            accepted.data_ptr(),
            seconds,
        )
    )
    return moved, accepted


def follow(
    terms: NativeTerms,
    positions: Tensor,
    *,
    masses: Tensor,
    schedule: Tensor,
    time_step: float,
    friction: float,
    seeds: Sequence[int],
    seconds: float = _FOREVER,
) -> Tensor:
    """Follow BAOAB dynamics, one step at each kT of `schedule` (S,) kcal/mol, and return the positions (3, N, C) Å.

    Velocities are drawn at the first kT. Masses are (N,) amu, the time step is in fs and the friction in 1/ps.
    Each molecule has a seed. A conformer that explodes ends as not finite.

    Raises
    ------
    TimeLimitError
        If it takes longer than `seconds`.

    References
    ----------
    Leimkuhler and Matthews, Appl. Math. Res. Express 2013(1), 34.
    """
    moved = positions.float().clone(memory_format=torch.contiguous_format)
    schedule, masses = schedule.float().contiguous(), masses.float().contiguous()
    dynamics = _Dynamics(masses.data_ptr(), schedule.data_ptr(), len(schedule), time_step, friction, seconds)
    _check(
        library().molebm_follow(
            ctypes.byref(terms.structure),
            ctypes.byref(as_columns(terms.columns)),
            positions.shape[2],
            ctypes.byref(dynamics),
            (ctypes.c_uint64 * len(seeds))(*seeds),
            moved.data_ptr(),
        )
    )
    return moved


def _prepared(positions: Tensor, n_molecules: int) -> tuple[Descent, _Descended]:
    shape = (n_molecules, positions.shape[2])
    result = Descent(
        positions.float().clone(memory_format=torch.contiguous_format),
        torch.empty(shape),
        torch.empty(shape),
        torch.zeros(shape, dtype=torch.int64),
    )
    return result, _Descended(*(value.data_ptr() for value in result))


def _settings(settings: DescentSettings) -> _Settings:
    return _Settings(
        settings.force_tolerance,
        settings.max_displacement,
        settings.max_steps,
        settings.history,
        min(settings.seconds, _FOREVER) if math.isfinite(settings.seconds) else _FOREVER,
    )


def _check(status: int) -> None:
    if status == _OUT_OF_TIME:
        raise TimeLimitError("sampling took longer than the time limit; raise --time-limit, or leave it out")
    if status == _NO_MEMORY:
        raise MemoryError("the native kernel found no memory for its scratch space")
