"""A file that is being written and can be cut back to where it was, byte for byte."""

from __future__ import annotations

import gzip
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import IO, Final, NamedTuple

from molebm.errors import RequestError

if sys.platform != "win32":
    import fcntl

MEMBER_SIZE: Final = 1 << 19  # characters compressed at once
_LEVEL: Final = 6


class Extent(NamedTuple):
    """How far a file has come."""

    n_bytes: int
    pending: str  # text after those bytes that waits to be compressed


class PartFile:
    """A text file, compressed or not, that grows by whole texts.

    The compressed one is a chain of gzip members, each of the texts up to a given size: where one ends
    depends on the text alone and not on when the run was interrupted, so that the bytes are always the same.

    Raises
    ------
    RequestError
        If it cannot be opened, or another process has it open.
    """

    def __init__(self, path: Path, *, compressed: bool) -> None:
        self.path = path
        self.extent = Extent(0, "")
        self._compressed = compressed
        try:
            self._file: IO[bytes] = os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        except OSError as error:
            raise RequestError(
                f"output '{path}' cannot be written: {error.strerror}; choose another folder, or create it"
            ) from error
        self._lock()

    def _lock(self) -> None:
        if sys.platform == "win32":  # where two runs with one output are not told apart
            return
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise RequestError(
                f"another run is writing '{self.path}'; wait for it, end it, or name another output"
            ) from error
        except OSError:  # a file system that knows no locks
            return

    def go_on_from(self, extent: Extent) -> None:
        """Cut off all that was written after.

        Raises
        ------
        RequestError
            If the file is shorter than that.
        """
        if os.fstat(self._file.fileno()).st_size < extent.n_bytes:
            raise RequestError(f"'{self.path}' has lost its end and cannot be gone on with; start anew with --force")
        self._file.seek(extent.n_bytes)
        self._file.truncate()
        self.extent = extent

    def write(self, text: str) -> None:
        """Add a text; an interruption leaves `extent` as it was before or makes it as it is after."""
        n_bytes, pending = self.extent
        if self._compressed:
            pending += text
            data = _compress(pending) if len(pending) >= MEMBER_SIZE else b""
            pending = "" if data else pending
        else:
            data = text.encode()
        self._file.write(data)
        self.extent = Extent(n_bytes + len(data), pending)

    def sync(self) -> None:
        """Bring all that was written to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def complete(self) -> None:
        """Compress what is pending, if only to make a sound file of nothing."""
        n_bytes, pending = self.extent
        if self._compressed and (pending or not n_bytes):
            data = _compress(pending)
            self._file.write(data)
            self.extent = Extent(n_bytes + len(data), "")
        self.sync()

    def close(self) -> None:
        """Let go of the file, which stays as it is; what could not be written to it was told before."""
        with suppress(OSError):
            self._file.close()


def _compress(text: str) -> bytes:
    return gzip.compress(text.encode(), _LEVEL, mtime=0)
