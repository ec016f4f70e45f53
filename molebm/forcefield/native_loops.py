"""Whole loops in C over the native kernel: descent, dynamics and rotations, each molecule by itself.

A conformer's result depends on its molecule, its coordinates, and where chance is at play on a seed and its column;
never on the molecules or conformers that are computed with it.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.errors import TimeLimitError
from molebm.forcefield.native import NativeTerms, as_columns, library

_NO_MEMORY, _OUT_OF_TIME = 1, 2
_FOREVER: Final = 1e9  # s
MOST_HISTORY: Final = 32  # as in descent.h


class Descent(NamedTuple):
    """Where descents ended."""

    positions: Tensor  # (D, N, C) Å, in as many dimensions as they began
    energy: Tensor  # (G, C) kcal/mol, with that of the tethers
    max_force: Tensor  # (G, C) kcal/mol/Å, of the largest force on an atom; NaN where the start is not finite
    steps: Tensor  # (G, C) int64, evaluations after the first


class DescentSettings(NamedTuple):
    """How far and how fast to go down; see `samplers.minimise.minimise`."""

    force_tolerance: float = 0.05  # kcal/mol/Å
    max_steps: int = 1000
    max_displacement: float = 0.2  # Å
    history: int = 8
    seconds: float = _FOREVER  # allowed
    tether: Tensor | None = None  # (N,) kcal/mol/Å², of each atom to where it began; infinite to hold it


class _Settings(ctypes.Structure):
    _fields_ = [
        ("force_tolerance", ctypes.c_float),
        ("max_displacement", ctypes.c_float),
        ("max_steps", ctypes.c_int64),
        ("history", ctypes.c_int64),
        ("seconds", ctypes.c_double),
        ("tether", ctypes.c_void_p),
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


class Rotors(NamedTuple):
    """Bonds to rotate about, in the order of their molecules."""

    start: Tensor  # (G+1,) int32, first of each molecule
    axes: Tensor  # (2, R) int32, atoms from the first of their molecule; the second one's side turns
    moved_start: Tensor  # (R,) int64, where the atoms of each begin in `moved`
    moved: Tensor  # uint8, for each bond one for each atom of its molecule


def minimise(terms: NativeTerms, positions: Tensor, settings: DescentSettings) -> Descent:
    """Minimise conformers (3, N, C) Å in the energy, those of a molecule side by side.

    Raises
    ------
    TimeLimitError
        If it takes longer than `settings.seconds`.
    """
    return _descend(library().molebm_minimise, terms, positions.float(), settings)


def minimise_alone(terms: NativeTerms, positions: Tensor, settings: DescentSettings) -> Descent:
    """Do what `minimise` does one conformer after another, in double precision.

    It is faster where a molecule has few conformers, and where it ends depends less on how the input was rounded,
    turned and ordered.
    """
    return _descend(library().molebm_minimise_alone, terms, positions.double(), settings)


def _descend(
    operation: Callable[..., int], terms: NativeTerms, positions: Tensor, settings: DescentSettings
) -> Descent:
    result, out = prepared(positions, terms.structure.n_molecules)
    check(
        operation(
            ctypes.byref(terms.structure),
            ctypes.byref(as_columns(terms.columns)),
            positions.shape[2],
            ctypes.byref(as_settings(settings)),
            ctypes.byref(out),
        )
    )
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
    check(
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
    check(
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


def prepared(positions: Tensor, n_molecules: int) -> tuple[Descent, ctypes.Structure]:
    """Make room for the result of a descent, where the C code also reads where to begin."""
    shape = (n_molecules, positions.shape[2])
    result = Descent(
        positions.clone(memory_format=torch.contiguous_format),
        positions.new_empty(shape),
        positions.new_empty(shape),
        torch.zeros(shape, dtype=torch.int64),
    )
    return result, _Descended(*(value.data_ptr() for value in result))


def as_settings(settings: DescentSettings) -> ctypes.Structure:
    """Lay settings out for the C code, which has room for so many pairs."""
    if not 1 <= settings.history <= MOST_HISTORY:
        raise ValueError(f"the history of a descent holds 1 to {MOST_HISTORY} pairs, not {settings.history}")
    return _Settings(
        settings.force_tolerance,
        settings.max_displacement,
        settings.max_steps,
        settings.history,
        min(settings.seconds, _FOREVER) if math.isfinite(settings.seconds) else _FOREVER,
        None if settings.tether is None else settings.tether.data_ptr(),
    )


def check(status: int) -> None:
    """Turn what the C code returns into an error, if it is one."""
    if status == _OUT_OF_TIME:
        raise TimeLimitError("sampling took longer than the time limit; raise --time-limit, or leave it out")
    if status == _NO_MEMORY:
        raise MemoryError("the native kernel found no memory for its scratch space")
