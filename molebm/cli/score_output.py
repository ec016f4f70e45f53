"""What `molebm score` writes beside its table, and the second pass that flags over the whole file."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Final

import numpy as np

from molebm.chem.writing import text_of
from molebm.cli.failures import FAILURE_COLUMNS
from molebm.cli.parquet import is_in_parquet, table_writer
from molebm.cli.rendering import Written
from molebm.cli.resumable_output import csv_text, hidden
from molebm.conformers.outcomes import failure
from molebm.plausibility.discoveries import discoveries
from molebm.plausibility.scores import COLUMNS, Score

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


def rows_file(table: Path, *, flagged_later: bool = False) -> Path:
    """Name the table that is written first: itself, or a hidden one that it is made of in the end."""
    return hidden(table, "csv") if flagged_later or is_in_parquet(table) else table


def rows_text(table: Path, rows: Iterable[Mapping[str, float | str | None]], columns: Sequence[str]) -> str:
    """Write rows as they stand in the table, without its head."""
    return csv_text(([text_of(row[column]) for column in columns] for row in rows), _delimiter(table))


def head_text(table: Path, columns: Sequence[str]) -> str:
    """Write the head of the table."""
    return csv_text([columns], _delimiter(table))


def written(found: Score, table: Path, atoms: Path | None, terms: Path | None) -> Written:
    """Write what is said of one record, in the tables that are wanted."""
    reported = None if found.score is not None else failure(found.name, found.source, found.status)
    beside = [(atoms, atom_rows, ATOM_COLUMNS), (terms, term_rows, TERM_COLUMNS)]
    return Written(
        rows_text(table, [found.row()], COLUMNS),
        [] if reported is None else [[getattr(reported, column) for column in FAILURE_COLUMNS[1:]]],
        {"scored": int(found.score is not None), "flagged": int(bool(found.flagged))},
        [rows_text(path, rows(found), columns) for path, rows, columns in beside if path is not None],
    )


def flag_again(table: Path, output: Path, rate: float) -> int:
    """Write the table again with the flags that hold over all its rows, and count the flags."""
    with score_rows(table) as rows:
        found = discoveries([float(row["p_value"] or "nan") for row in rows], rate)
    n_flagged = 0
    with score_rows(table) as rows, table_writer(output, tuple(rows.fieldnames or ()), force=True) as write:
        for row, discovered in zip(rows, found, strict=True):
            if row["flagged"]:
                faulty = any(float(row[f"{channel}_score"] or 0) > 0 for channel in ("stereo", "graph"))
                row["flagged"] = str(bool(discovered or faulty))
                n_flagged += bool(discovered or faulty)
            write(row)
    return n_flagged


@contextmanager
def score_rows(table: Path) -> Iterator[csv.DictReader]:
    """Open a table of scores for reading row by row."""
    with _opened(table) as file:
        yield csv.DictReader(file, delimiter=_delimiter(table))


def _delimiter(table: Path) -> str:
    return "\t" if ".tsv" in table.suffixes else ","


def _opened(table: Path) -> IO[str]:
    if table.suffix.lower() == ".gz":
        return gzip.open(table, "rt", encoding="utf-8", newline="")
    return table.open(encoding="utf-8", newline="")
