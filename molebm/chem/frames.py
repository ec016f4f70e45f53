"""Frames of trajectories, as MDTraj reads them: Å, one at a time, up to where a file breaks off.

Text formats are read here, since MDTraj takes them into memory as a whole, or leaves out in silence what is cut off.
"""

from __future__ import annotations

import struct
import warnings
import zlib
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, TextIO

import numpy as np

from molebm.chem.pdb_models import number_or_nan, pdb_coordinates, pieces
from molebm.chem.text_files import extension, open_text
from molebm.errors import RequestError

_IN_CHUNKS: Final = (
    *(".xtc", ".trr", ".dcd", ".nc", ".netcdf", ".ncdf", ".h5", ".hdf5", ".lh5"),
    *(".mdcrd", ".crd", ".lammpstrj", ".dtr"),
)
_AT_ONCE: Final = (".rst7", ".restrt", ".inpcrd", ".ncrst")  # of one frame
_HDF5: Final = (".h5", ".hdf5", ".lh5")
_ATOMS_IN_MEMORY: Final = 1_000_000  # over the frames of a chunk
_FROM_NM: Final = 10.0  # Å

UNREADABLE: Final = (OSError, EOFError, zlib.error, ValueError, RuntimeError, TypeError, LookupError, struct.error)
"""What MDTraj raises for files that it cannot read."""


class Frame(NamedTuple):
    """Coordinates of the chosen atoms, or why reading stopped: then it is the last."""

    positions: np.ndarray  # (n, 3) Å; empty after an error
    cell: np.ndarray | None  # (3, 3) Å, the box vectors as rows
    error: str | None = None


def mdtraj_module(path: Path) -> ModuleType:
    """Import MDTraj, which alone reads trajectories, and see that it can read that file.

    Raises
    ------
    RequestError
        If MDTraj is not installed, or PyTables where the file needs it.
    """
    try:
        import mdtraj
    except ImportError as error:
        raise RequestError("trajectories are read by MDTraj, which is not installed: pip install mdtraj") from error
    if extension(path) in _HDF5 and find_spec("tables") is None:
        raise RequestError(f"'{path}' is read by PyTables, which is not installed: pip install tables")
    return mdtraj


def check_trajectory(path: Path) -> None:
    """Raise a RequestError if the file does not exist, or is not of a kind that `read_frames` knows."""
    known = (*_IN_CHUNKS, *_AT_ONCE, *_TEXT)
    if extension(path) not in known:
        raise RequestError(f"trajectory '{path}' is of an unknown kind; known are {' '.join(known)}")
    if not path.exists() or (path.is_dir() and extension(path) != ".dtr"):
        raise RequestError(f"trajectory '{path}' does not exist; check the path")


def read_frames(path: Path, topology: Any, atoms: Sequence[int]) -> Iterator[Frame]:
    """Stream the frames of a file with all atoms of the topology of MDTraj; memory does not grow with their number.

    A file that cannot be read to its end gives its whole frames, and then one with the reason.

    Raises
    ------
    RequestError
        With the first frame, if it has not the number of atoms of the topology.
    """
    given = 0
    try:
        for positions, cell in _raw_frames(path, topology):
            if len(positions) != topology.n_atoms:
                raise ValueError(f"a frame has {len(positions)} atoms, and the topology {topology.n_atoms}")
            yield Frame(positions[atoms].astype(np.float64), cell)
            given += 1
        _check_header(path, given)
    except UNREADABLE as error:
        if not given and _speaks_of_atoms(str(error)):
            raise RequestError(
                f"trajectory '{path}' is not of its topology: {error}; give the topology of all its atoms, "
                "hydrogens and solvent too if they were written"
            ) from error
        reason = " ".join(str(error).split()) or type(error).__name__
        yield Frame(
            np.empty((0, 3)), None, f"reading stopped here, the rest is lost: {reason}; copy the trajectory again"
        )


def _raw_frames(path: Path, topology: Any) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    kind = extension(path)
    if kind in _TEXT:
        with open_text(path) as lines:
            yield from _TEXT[kind](lines)
    elif kind in _AT_ONCE:
        yield from _in_angstrom(quietly(lambda: mdtraj_module(path).load(str(path), top=topology)))
    else:
        chunk = max(1, min(100, _ATOMS_IN_MEMORY // topology.n_atoms))
        given = 0
        try:
            for part in _chunks(path, topology, chunk):
                for frame in _in_angstrom(part):
                    yield frame
                    given += 1
        except UNREADABLE:  # perhaps not of the first frame of the chunk
            for part in islice(_chunks(path, topology, 1), given, None):
                yield from _in_angstrom(part)


def _chunks(path: Path, topology: Any, chunk: int) -> Iterator[Any]:
    # Every frame: with a stride, some readers begin anew in each chunk, and some ignore it.
    parts = mdtraj_module(path).iterload(str(path), top=topology, chunk=chunk)
    while (part := quietly(lambda: next(parts, None))) is not None:
        yield part


def _in_angstrom(part: Any) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    cells = part.unitcell_vectors
    for row in range(part.n_frames):
        cell = None if cells is None else cells[row].astype(np.float64) * _FROM_NM
        yield part.xyz[row].astype(np.float64) * _FROM_NM, cell


def quietly(read: Callable[[], Any]) -> Any:
    """Read without the warning that NetCDF would be faster with another package."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read()


def _pdb_frames(lines: TextIO) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    cell = None
    for piece in pieces(lines):
        for line in piece.text.splitlines():
            if line.startswith("CRYST1"):
                lengths = [number_or_nan(line[at : at + 9]) for at in (6, 15, 24)]
                angles = [number_or_nan(line[at : at + 7]) for at in (33, 40, 47)]
                cell = _vectors(lengths, angles)
        yield pdb_coordinates(piece.text), cell


def _xyz_frames(lines: TextIO) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    for count in lines:
        if not count.strip():
            continue
        rows = [line.split() for line in islice(lines, 1 + int(count))][1:]
        if len(rows) < int(count) or len(rows[-1]) < 4:
            raise EOFError("the last frame is cut off")
        yield np.array([[number_or_nan(word) for word in [*row, "", "", ""][1:4]] for row in rows]), None


def _gro_frames(lines: TextIO) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    for title in lines:
        count = next(lines, "").strip()
        if not title.strip() and not count:
            continue
        rows = list(islice(lines, int(count or 0) + 1))
        box = [number_or_nan(word) for word in rows.pop().split()] if count and len(rows) > int(count) else []
        if len(box) not in (3, 9):
            raise EOFError("the last frame is cut off")
        points = [at for at, mark in enumerate(rows[0]) if mark == "."] if rows else []
        width = points[1] - points[0] if len(points) > 1 else 8
        starts = [20 + axis * width for axis in range(3)]
        positions = np.array([[number_or_nan(row[at : at + width]) for at in starts] for row in rows])
        x, y, z, xy, xz, yx, yz, zx, zy = [*box, *[0.0] * 6][:9]
        yield positions * _FROM_NM, np.array([[x, xy, xz], [yx, y, yz], [zx, zy, z]]) * _FROM_NM


_TEXT: Final = {".pdb": _pdb_frames, ".xyz": _xyz_frames, ".gro": _gro_frames}


def _vectors(lengths: list[float], angles: list[float]) -> np.ndarray:
    a, b, c = lengths
    cos_alpha, cos_beta, cos_gamma = np.cos(np.radians(angles))
    sin_gamma = np.sqrt(1 - cos_gamma**2)
    along = (cos_alpha - cos_beta * cos_gamma) / sin_gamma
    height = np.sqrt(max(1 - cos_beta**2 - along**2, 0.0))
    return np.array([[a, 0, 0], [b * cos_gamma, b * sin_gamma, 0], [c * cos_beta, c * along, c * height]])


def _check_header(path: Path, given: int) -> None:
    """Raise if the header of a DCD file claims more frames than it has; MDTraj reads what is there."""
    if extension(path) != ".dcd":
        return
    with path.open("rb") as file:
        start = file.read(16)
    for order in "<>":
        for mark in "iq":
            layout = f"{order}{mark}4si"
            length, word, claimed = struct.unpack_from(layout, start)
            if length == 84 and word == b"CORD" and claimed > given:
                raise EOFError(f"the header claims {claimed} frames, and there are {given}")


def _speaks_of_atoms(reason: str) -> bool:
    return "must be shape" in reason or "atoms, and the topology" in reason
