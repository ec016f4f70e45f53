"""The two files of a run, which grow under hidden names and appear when they are complete."""

from __future__ import annotations

import csv
import io
import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Final

from molebm.cli.failures import FAILURE_COLUMNS, failures_path
from molebm.cli.journal import Journal, Request, check_same_request, read_journal, write_journal
from molebm.cli.options import check_output
from molebm.cli.part_file import Extent, PartFile
from molebm.cli.rendering import Written
from molebm.errors import RequestError

PERIOD: Final = 5.0  # s between two entries in the journal


class ResumableOutput:
    """An output, the table of its failures, and the journal of how far both have come."""

    def __init__(self, output: Path) -> None:
        self._target, self._failures_target = (Path(os.path.realpath(path)) for path in (output, failures_path(output)))
        self._journal_path = journal_path(output)
        self._output = PartFile(hidden(self._target, "part"), compressed=self._target.suffix.lower() == ".gz")
        self._failures = PartFile(hidden(self._failures_target, "part"), compressed=False)
        self._last_entry = time.monotonic()
        self.journal = Journal({}, False)

    def begin(self, request: Request, *, replaces: bool) -> None:
        """Start from nothing, whatever a run before has left."""
        self._cut(Journal(request, replaces))
        self._failures.write(_rows([FAILURE_COLUMNS]))
        self.journal = replace(self.journal, failures=self._failures.extent)
        self.save()

    def go_on(self, request: Request) -> None:
        """Start where a run before has come to.

        Raises
        ------
        RequestError
            If that was another request, or its files are not as it left them.
        """
        journal = read_journal(self._journal_path)
        check_same_request(journal, request)
        if self._target.exists() and not journal.replaces and not journal.complete:
            raise RequestError(f"output '{self._target}' has come up since the run was begun; move it away")
        if journal.complete:
            self.journal = journal
        else:
            self._cut(journal)

    def add(self, index: int, written: Written) -> None:
        """Write what has become of the record of that index, and count it only when all is written."""
        self._output.write(written.structures)
        self._failures.write(_rows(written.failures))
        now = self.journal
        self.journal = replace(
            now,
            next_record=index + 1,
            n_done=now.n_done + written.n_done,
            n_failed=now.n_failed + len(written.failures),
            n_conformers=now.n_conformers + written.n_conformers,
            output=self._output.extent,
            failures=self._failures.extent,
        )
        if time.monotonic() > self._last_entry + PERIOD:
            self.save()

    def save(self) -> None:
        """Bring the files to the disk and note how far they have come."""
        self._output.sync()
        self._failures.sync()
        write_journal(self._journal_path, self.journal)
        self._last_entry = time.monotonic()

    def finish(self) -> None:
        """Give the files their names; an interruption in the midst of it can be gone on with like any other."""
        if not self.journal.complete:
            self._output.complete()
            self._failures.complete()
            output, failures = self._output.extent, self._failures.extent
            self.journal = replace(self.journal, output=output, failures=failures, complete=True)
            self.save()
        self.close()
        if self.journal.n_failed:
            _name(self._failures.path, self._failures_target, self.journal.failures)
        else:
            self._failures.path.unlink()
            self._failures_target.unlink(missing_ok=True)  # of an earlier run
        _name(self._output.path, self._target, self.journal.output)
        self._journal_path.unlink()

    def leave(self) -> None:
        """Keep what is done unless it is nothing; what is complete has been kept."""
        if self.journal.complete:
            return
        if self.journal.next_record:
            self.save()
            return
        self.close()
        for path in (self._output.path, self._failures.path, self._journal_path):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the files, which stay as they are."""
        self._output.close()
        self._failures.close()

    def _cut(self, journal: Journal) -> None:
        self._output.go_on_from(journal.output)
        self._failures.go_on_from(journal.failures)
        self.journal = journal


@contextmanager
def resumable_output(output: Path, request: Request, *, resume: bool, force: bool) -> Iterator[ResumableOutput]:
    """Open what is left of a run of the same request, or else begin one; see `check_free` for what may be in the way.

    What is done when the block ends without `finish` is kept to go on with; if nothing is, nothing is left.

    Raises
    ------
    RequestError
        If a run to go on with was of another request, or a file cannot be written.
    """
    with closing(ResumableOutput(output)) as files:
        if resume and journal_path(output).exists():
            files.go_on(request)
        else:
            files.begin(request, replaces=force)
        try:
            yield files
        except OSError as error:
            cure = "make room, and go on with --resume"
            raise RequestError(f"output '{output}' cannot be written: {error}; {cure}") from error
        finally:
            with suppress(OSError):  # the last entry in the journal then holds
                files.leave()


def check_free(output: Path, *, resume: bool, force: bool) -> bool:
    """Look before any work is done at what stands where the output is to be, and say whether it is complete.

    Raises
    ------
    RequestError
        If something is in the way that neither `resume` nor `force` deals with, or both are asked for.
    """
    if resume and force:
        raise RequestError("--resume goes on with a run and --force discards it; choose one")
    if journal_path(output).exists() and not force:
        if not resume:
            raise RequestError(
                f"an interrupted run of output '{output}' can be gone on with: use --resume, or discard it with --force"
            )
        return False
    if resume and output.is_file():
        return True
    for path in (output, failures_path(output)):
        check_output(path, force=force)
        if path.exists() and not path.is_file():
            raise RequestError(f"output '{path}' is no regular file; name another")
    return False


def journal_path(output: Path) -> Path:
    """Name the journal of an output."""
    return hidden(Path(os.path.realpath(output)), "journal")


def hidden(path: Path, kind: str) -> Path:
    """Name a hidden file beside a file."""
    return path.with_name(f".{path.name}.{kind}")


def _name(part: Path, target: Path, extent: Extent) -> None:
    """Rename a complete part, unless a run before has come to do it and the part is a new, empty file."""
    if part.stat().st_size == extent.n_bytes:
        os.replace(part, target)
    else:
        part.unlink()


def _rows(rows: Iterable[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([" ".join(field.split()) for field in row] for row in rows)
    return text.getvalue()
