"""The files of a run, which grow under hidden names and appear when they are complete."""

from __future__ import annotations

import csv
import io
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
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

PERIOD: Final = 30.0  # s between two entries in the journal; the signals that end a job make one at once
_FAILURES: Final = 1  # where the table of failures is among the files


class ResumableOutput:
    """An output, the table of its failures, perhaps further tables, and the journal of how far all have come."""

    def __init__(self, output: Path, failures: Path, tables: Sequence[Path] = ()) -> None:
        self._targets = [Path(os.path.realpath(path)) for path in (output, failures, *tables)]
        self._journal_path = journal_path(output)
        self._parts = [
            PartFile(hidden(target, "part"), compressed=target.suffix.lower() == ".gz") for target in self._targets
        ]
        self._last_entry = time.monotonic()
        self.journal = Journal({}, False)

    def begin(self, request: Request, heads: Sequence[str], *, replaces: bool) -> None:
        """Start from the first text of each file, whatever a run before has left."""
        self._cut(Journal(request, replaces, extents=(Extent(0, ""),) * len(self._parts)))
        for part, head in zip(self._parts, heads, strict=True):
            part.write(head)
        self.journal = replace(self.journal, extents=self._extents())
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
        output = self._targets[0]
        if output.exists() and not journal.replaces and not journal.complete:
            raise RequestError(f"output '{output}' has come up since the run was begun; move it away")
        if journal.complete:
            self.journal = journal
        else:
            self._cut(journal)

    def add(self, index: int, written: Written) -> None:
        """Write what has become of the record of that index, and count it only when all is written."""
        failures = csv_text([str(index), *row] for row in written.failures)
        for part, text in zip(self._parts, (written.text, failures, *written.tables), strict=True):
            part.write(text)
        now = self.journal
        self.journal = replace(
            now,
            next_record=index + 1,
            n_failed=now.n_failed + len(written.failures),
            counts=dict(Counter(now.counts) + Counter(written.counts)),
            extents=self._extents(),
        )
        if time.monotonic() > self._last_entry + PERIOD:
            self.save()

    def save(self) -> None:
        """Bring the files to the disk and note how far they have come."""
        for part in self._parts:
            part.sync()
        write_journal(self._journal_path, self.journal)
        self._last_entry = time.monotonic()

    def finish(self) -> None:
        """Give the files their names, the output last; what interrupts this can be gone on from like any other."""
        if not self.journal.complete:
            for part in self._parts:
                part.complete()
            self.journal = replace(self.journal, extents=self._extents(), complete=True)
            self.save()
        self.close()
        files = list(zip(self._parts, self._targets, self.journal.extents, strict=True))
        if not self.journal.n_failed:
            part, target, _ = files.pop(_FAILURES)
            part.path.unlink()
            target.unlink(missing_ok=True)  # of an earlier run
        for part, target, extent in reversed(files):
            _name(part.path, target, extent)
        self._journal_path.unlink()

    def leave(self) -> None:
        """Keep what is done unless it is nothing; what is complete has been kept."""
        if self.journal.complete:
            return
        if self.journal.next_record:
            self.save()
        else:
            self.discard()

    def discard(self) -> None:
        """Leave nothing of what was done."""
        self.close()
        self.journal = replace(self.journal, next_record=0)
        for path in (*(part.path for part in self._parts), self._journal_path):
            path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of the files, which stay as they are."""
        for part in self._parts:
            part.close()

    def _cut(self, journal: Journal) -> None:
        for part, extent in zip(self._parts, journal.extents, strict=True):
            part.go_on_from(extent)
        self.journal = journal

    def _extents(self) -> tuple[Extent, ...]:
        return tuple(part.extent for part in self._parts)


@contextmanager
def resumable_output(
    output: Path,
    request: Request,
    *,
    resume: bool,
    force: bool,
    head: str = "",
    failures: Path | None = None,
    tables: Mapping[Path, str] | None = None,
) -> Iterator[ResumableOutput]:
    """Open what is left of a run of the same request, or else begin one; see `check_free` for what may be in the way.

    What is done when the block ends without `finish` is kept to go on with; if nothing is, nothing is left.

    Parameters
    ----------
    head
        First text of the output.
    failures
        Table of failures, if not `failures_path` of the output.
    tables
        Further files, with the first text of each.

    Raises
    ------
    RequestError
        If a run to go on with was of another request, or a file cannot be written.
    """
    tables = tables or {}
    with closing(ResumableOutput(output, failures or failures_path(output), list(tables))) as files:
        if resume and journal_path(output).exists():
            files.go_on(request)
        else:
            files.begin(request, [head, csv_text([FAILURE_COLUMNS]), *tables.values()], replaces=force)
        try:
            yield files
        except OSError as error:
            cure = "make room, and go on with --resume"
            raise RequestError(f"output '{output}' cannot be written: {error}; {cure}") from error
        finally:
            with suppress(OSError):  # the last entry in the journal then holds
                files.leave()


def check_free(output: Path, *, resume: bool, force: bool, failures: Path | None = None) -> bool:
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
    for path, replaced in ((output, force), (failures or failures_path(output), force or resume)):
        check_output(path, force=replaced)  # failures alone are of an output that was taken away
        if path.exists() and not path.is_file():
            raise RequestError(f"output '{path}' is no regular file; name another")
    return False


def journal_path(output: Path) -> Path:
    """Name the journal of an output."""
    return hidden(Path(os.path.realpath(output)), "journal")


def hidden(path: Path, kind: str) -> Path:
    """Name a hidden file beside a file."""
    return path.with_name(f".{path.name}.{kind}")


def csv_text(rows: Iterable[Iterable[str]], delimiter: str = ",") -> str:
    """Write rows of a table, no field of more than one line."""
    text = io.StringIO()
    table = csv.writer(text, delimiter=delimiter, lineterminator="\n")
    table.writerows([" ".join(field.split()) for field in row] for row in rows)
    return text.getvalue()


def _name(part: Path, target: Path, extent: Extent) -> None:
    """Rename a complete part, unless a run before has come to do it and the part is a new, empty file."""
    if part.stat().st_size == extent.n_bytes:
        os.replace(part, target)
    else:
        part.unlink()
