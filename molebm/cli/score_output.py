"""What `molebm score` writes beside its table, and the second pass that flags over the whole file."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Final

import numpy as np

if TYPE_CHECKING:
    from molebm.plausibility.scores import Score

ATOM_COLUMNS: Final = ("record", "name", "atom", "element", "score", "novelty")
TERM_COLUMNS: Final = ("record", "name", "channel", "kind", "atoms", "score", "given", "expected", "words")

Row = dict[str, float | str | None]


def atom_rows(found: Score) -> Iterator[Row]:
    """Give one row of `ATOM_COLUMNS` for each atom."""
    novelty = found.novelty_of_atoms or (None,) * len(found.elements)
    for atom, told in enumerate(zip(found.elements, found.atom_scores, novelty, strict=True)):
        yield dict(zip(ATOM_COLUMNS, (found.record, found.name, atom, *told), strict=True))


def term_rows(found: Score) -> Iterator[Row]:
    """Give one row of `TERM_COLUMNS` for each term that is not as expected, worst first."""
    for one in found.findings:
        given, expected = (None if np.isnan(value) else value for value in (one.given, one.expected))
        atoms = " ".join(map(str, one.atoms))
        told = (found.record, found.name, one.channel, one.kind, atoms, one.score, given, expected, one.words)
        yield dict(zip(TERM_COLUMNS, told, strict=True))


def unflagged(output: Path) -> Path:
    """Name the table that waits beside the output until all p-values are known."""
    from molebm.cli.parquet import is_in_parquet

    return output.with_name(f".unflagged-{output.name}{'.csv' if is_in_parquet(output) else ''}")


def flag_again(table: Path, output: Path, rate: float, *, force: bool) -> int:
    """Write the table again with the flags that hold over all its rows, remove the first, and count the flags."""
    from molebm.cli.parquet import table_writer
    from molebm.plausibility.discoveries import discoveries

    try:
        with score_rows(table) as rows:
            found = discoveries([float(row["p_value"] or "nan") for row in rows], rate)
        n_flagged = 0
        with score_rows(table) as rows, table_writer(output, tuple(rows.fieldnames or ()), force=force) as write:
            for row, discovered in zip(rows, found, strict=True):
                if row["flagged"]:
                    faulty = any(float(row[f"{channel}_score"] or 0) > 0 for channel in ("stereo", "graph"))
                    row["flagged"] = str(bool(discovered or faulty))
                    n_flagged += bool(discovered or faulty)
                write(row)
    finally:
        table.unlink(missing_ok=True)
    return n_flagged


@contextmanager
def score_rows(table: Path) -> Iterator[csv.DictReader]:
    delimiter = "\t" if ".tsv" in table.suffixes else ","
    with _opened(table) as file:
        yield csv.DictReader(file, delimiter=delimiter)


def _opened(table: Path) -> IO[str]:
    if table.suffix.lower() == ".gz":
        return gzip.open(table, "rt", encoding="utf-8", newline="")
    return table.open(encoding="utf-8", newline="")
