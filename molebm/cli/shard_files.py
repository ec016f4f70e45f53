"""What the files of a shard say of each input, in order: conformers, failures, scores."""

from __future__ import annotations

import csv
import re
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Final, TypeVar

from molebm.chem.text_files import open_text
from molebm.cli.failures import FAILURE_COLUMNS, failures_path
from molebm.conformers.outcomes import INPUT_RECORD
from molebm.errors import RequestError

Row = Mapping[str, str]
Item = TypeVar("Item")
_FIELD: Final = re.compile(r"^>.*?<([^>]+)>.*\n(.*)", re.MULTILINE)
_END_OF_ATOMS: Final = "M  END"


@dataclass(frozen=True, slots=True)
class Structure:
    """One record of an SDF as it stands there."""

    text: str  # with the line that ends it
    name: str
    fields: Row
    scores: Row = field(default_factory=dict)  # its row in the table of scores, if there is one


@dataclass(frozen=True, slots=True)
class Entry:
    """What a shard holds of one input: conformers of one or more isomers, failures, or both."""

    record: int  # position in the whole input
    shard: Path
    structures: tuple[Structure, ...]
    failures: tuple[Row, ...]


def scores_path(shard: Path) -> Path:
    """Put .scores.csv in the place of the extension."""
    return shard.with_name(Path(shard.name.removesuffix(".gz")).stem + ".scores.csv")


def entries_of(shard: Path, score_columns: Sequence[str] = ()) -> Generator[Entry, None, None]:
    """Stream what a shard holds, one input after the other.

    Parameters
    ----------
    score_columns
        Of the table of scores beside it, see `scores_path`, which has a row for each structure; none if there is none.

    Raises
    ------
    RequestError
        If a file is missing or is not what `molebm generate` and `molebm score` write.
    """
    structures = groupby(
        _scored(shard, score_columns) if score_columns else structures_of(shard), key=lambda one: _record(shard, one)
    )
    failures = groupby(_failures(shard), key=lambda row: int(row["record"]))
    found, failed = _next(structures), _next(failures)
    while found or failed:
        record = min(one[0] for one in (found, failed) if one)
        here, missed = found and found[0] == record, failed and failed[0] == record
        yield Entry(
            record,
            shard,
            tuple(found[1]) if found and here else (),
            tuple(failed[1]) if failed and missed else (),
        )
        found = _next(structures) if here else found
        failed = _next(failures) if missed else failed


def _next(groups: Iterator[tuple[int, Iterator[Item]]]) -> tuple[int, list[Item]] | None:
    """Take a whole group, since those of `groupby` are gone when the next is asked for."""
    for record, items in groups:
        return record, list(items)
    return None


def structures_of(sdf: Path) -> Iterator[Structure]:
    """Stream the records of an SDF.

    Raises
    ------
    RequestError
        If it cannot be read, or its last record has no end.
    """
    try:
        with open_text(sdf) as lines:
            text: list[str] = []
            for line in lines:
                text.append(line)
                if line.startswith("$$$$"):
                    yield _structure("".join(text))
                    text = []
    except (OSError, EOFError) as error:
        raise RequestError(f"'{sdf}' cannot be read: {error}; make it anew, with --force") from error
    if text:
        raise RequestError(f"'{sdf}' breaks off in the midst of a record; make it anew, with --force")


def _structure(text: str) -> Structure:
    fields = dict(_FIELD.findall(text, text.find(_END_OF_ATOMS)))
    return Structure(text, text.partition("\n")[0].strip(), fields)


def _record(shard: Path, structure: Structure) -> int:
    try:
        return int(structure.fields[INPUT_RECORD])
    except (KeyError, ValueError) as error:
        raise RequestError(
            f"'{shard}': '{structure.name}' has no data field {INPUT_RECORD}; merge what `molebm generate` wrote"
        ) from error


def _scored(shard: Path, columns: Sequence[str]) -> Iterator[Structure]:
    """Join each structure with its row of the table of scores."""
    table = scores_path(shard)
    amiss = f"'{table}' is not the table of '{shard}': {{}}; score the shard again"
    with _rows(table, columns) as rows:
        number = -1
        for number, structure in enumerate(structures_of(shard)):
            row = next(rows, None)
            if row is None or row["record"] != str(number) or row["name"] != structure.name:
                raise RequestError(amiss.format(f"it has no row of record {number}, '{structure.name}'"))
            yield Structure(structure.text, structure.name, structure.fields, row)
        if next(rows, None) is not None:
            raise RequestError(amiss.format(f"it has more than {number + 1} rows"))


def _failures(shard: Path) -> Iterator[Row]:
    table = failures_path(shard)
    if table.exists():
        with _rows(table, FAILURE_COLUMNS) as rows:
            yield from rows


@contextmanager
def _rows(table: Path, needed: Sequence[str]) -> Iterator[Iterator[Row]]:
    try:
        with table.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file)
            lacking = [column for column in needed if column not in (rows.fieldnames or ())]
            if lacking:
                raise RequestError(f"table '{table}' has no column {lacking[0]}; make it anew with this version")
            yield rows
    except OSError as error:
        raise RequestError(f"table '{table}' cannot be read: {error.strerror}; make it, or leave it out") from error
