"""Shards side by side, their inputs in the order of the whole."""

from __future__ import annotations

import csv
import hashlib
import heapq
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from molebm.cli.books import Books
from molebm.cli.failures import FAILURE_COLUMNS
from molebm.cli.journal import Request
from molebm.cli.merged_table import columns, rows_of
from molebm.cli.rendering import Written
from molebm.cli.resumable_output import csv_text, journal_path
from molebm.cli.shard_files import entries_of, scores_path
from molebm.errors import RequestError

if sys.platform != "win32":
    import resource

_FILES_EACH: Final = 3  # open at once of a shard: structures, failures, scores
_OTHER_FILES: Final = 64
_SHOWN: Final = 5  # of those that are missing


def merged(
    shards: Sequence[Path], score_columns: Sequence[str], books: Books, *, first: int, with_table: bool
) -> Iterator[tuple[int, Written]]:
    """Stream what is to be written of each input from the `first` on, all of them entered in the books.

    Raises
    ------
    RequestError
        At the end, if the books do not add up, and as `entries_of`.
    """
    names = columns(score_columns)
    n_structures = 0
    with ExitStack() as stack:
        streams = [stack.enter_context(closing(entries_of(shard, score_columns))) for shard in shards]
        for entry in heapq.merge(*streams, key=lambda entry: entry.record):
            books.enter(entry)
            if entry.record >= first:
                table = csv_text(rows_of(entry, n_structures, names)) if with_table else ""
                yield (
                    entry.record,
                    Written(
                        "".join(structure.text for structure in entry.structures),
                        [[row[column] for column in FAILURE_COLUMNS[1:]] for row in entry.failures],
                        {"inputs": 1, "conformers": len(entry.structures)},
                        (table,) if with_table else (),
                    ),
                )
            n_structures += len(entry.structures)
    books.close()


def score_columns_of(shard: Path) -> tuple[str, ...]:
    """Read the names of the columns of its table of scores."""
    table = scores_path(shard)
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return tuple(next(csv.reader(file), ()))
    except OSError as error:
        raise RequestError(
            f"'{table}' cannot be read: {error.strerror}; score the shard, or leave --scores out"
        ) from error


def check_shards(shards: Sequence[Path], n_shards: int | None, *, scored: bool) -> None:
    """Refuse shards that are missing, unfinished or named twice, before any is read.

    Raises
    ------
    RequestError
        Naming them.
    """
    doubled = [shard for number, shard in enumerate(shards) if shard in shards[:number]]
    if doubled:
        raise RequestError(f"{_named(doubled)} named more than once; name each shard once")
    unfinished = [shard for shard in shards if journal_path(shard).exists()]
    if unfinished:
        raise RequestError(f"{_named(unfinished)} not finished; go on with each by its command and --resume")
    needed = [path for shard in shards for path in (shard, *([scores_path(shard)] if scored else []))]
    missing = [path for path in needed if not path.is_file()]
    if missing:
        raise RequestError(f"{_named(missing)} missing; run what makes them again")
    if n_shards and len(shards) > n_shards:
        raise RequestError(f"{len(shards)} shards are named, and there are {n_shards}; name those of one run")
    _allow_open_files(_FILES_EACH * len(shards) + _OTHER_FILES)


def request_of(shards: Sequence[Path], score_columns: Sequence[str], *, with_table: bool) -> Request:
    """Describe a merge by what can be told of its shards without reading them."""
    sizes = " ".join(f"{shard.name}:{shard.stat().st_size}" for shard in shards)
    digest = hashlib.sha256(sizes.encode()).hexdigest()[:16]
    return {"shards": f"{len(shards)} ({digest})", "scores": " ".join(score_columns), "table": str(with_table)}


def _named(paths: Sequence[Path]) -> str:
    shown = ", ".join(f"'{path}'" for path in paths[:_SHOWN])
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return f"{shown}{more} {'is' if len(paths) == 1 else 'are'}"


def _allow_open_files(needed: int) -> None:
    """Ask the system for so many open files; the usual 1024 are fewer than large runs have shards."""
    if sys.platform == "win32":
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if needed <= soft or soft == resource.RLIM_INFINITY:
        return
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise RequestError(f"{needed} files must be open at once and the system allows {hard}; make fewer shards")
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
