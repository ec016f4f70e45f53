"""The table of a whole run: a row for each conformer and for each failure, as CSV or Parquet."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from molebm.cli.shard_files import Entry, Row, Structure
from molebm.conformers.outcomes import ENERGY, INPUT_RECORD, RELATIVE_ENERGY, STEREOISOMER, WEIGHT
from molebm.errors import RequestError

if TYPE_CHECKING:
    import pyarrow

PARQUET: Final = (".parquet", ".pq")
_RENAMED: Final = {ENERGY: "scored_energy_kcal_mol"}  # of the structure as it stands, by the energy that scored it
_FROM_SDF: Final = (ENERGY, RELATIVE_ENERGY, WEIGHT, STEREOISOMER)
_KEYS: Final = ("record", "name", "status")  # of a table of scores
_INTEGERS: Final = ("record", INPUT_RECORD, "n_calibration")
_TEXTS: Final = ("name", "status", STEREOISOMER, "reasons")
_ROWS: Final = 20_000  # in memory at once


def columns(score_columns: Sequence[str] = ()) -> tuple[str, ...]:
    """Name the columns, with those of the scores if there are any."""
    scores = (_RENAMED.get(name, name) for name in score_columns if name not in _KEYS)
    return ("record", INPUT_RECORD, "name", "status", *_FROM_SDF, *scores)


def rows_of(entry: Entry, first: int, names: tuple[str, ...]) -> Iterator[list[str]]:
    """Give the rows of one input, its structures numbered from `first` on as in the merged SDF."""
    for number, structure in enumerate(entry.structures, start=first):
        told = _told(entry.record, number, structure)
        yield [told.get(name, "") for name in names]
    for failed in entry.failures:
        told = {
            INPUT_RECORD: str(entry.record),
            "name": failed["name"],
            "status": f"{failed['reason']}; {failed['cure']}",
        }
        yield [told.get(name, "") for name in names]


def _told(record: int, number: int, structure: Structure) -> Row:
    scores = {_RENAMED.get(name, name): value for name, value in structure.scores.items()}
    return {
        "status": "ok",
        **scores,
        **structure.fields,
        "record": str(number),
        INPUT_RECORD: str(record),
        "name": structure.name,
    }


def check_parquet() -> None:
    """Look for what writes Parquet before any work is done.

    Raises
    ------
    RequestError
        If it is not installed.
    """
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        raise RequestError(
            'a table in Parquet needs pyarrow, which is not installed; pip install "molebm[hpc]", or write .csv'
        ) from error


def write_parquet(table: Path, target: Path) -> None:
    """Turn the table in CSV into one in Parquet, some rows at a time; it appears when it is complete."""
    import pyarrow
    import pyarrow.parquet

    part = target.with_name(f".{target.name}.part")
    with table.open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file)
        schema = _schema(list(rows.fieldnames or ()))
        with pyarrow.parquet.ParquetWriter(part, schema) as writer:
            while batch := [row for _, row in zip(range(_ROWS), rows, strict=False)]:
                values = {name: [_value(name, row[name]) for row in batch] for name in schema.names}
                writer.write_table(pyarrow.table(values, schema))
    os.replace(part, target)


def _schema(names: list[str]) -> pyarrow.Schema:
    import pyarrow

    kinds = dict.fromkeys(_INTEGERS, pyarrow.int64()) | dict.fromkeys(_TEXTS, pyarrow.string())
    kinds["flagged"] = pyarrow.bool_()
    return pyarrow.schema([(name, kinds.get(name, pyarrow.float64())) for name in names])


def _value(name: str, text: str) -> Any:
    if name in _TEXTS:
        return text
    if not text:
        return None
    if name in _INTEGERS:
        return int(text)
    return text == "True" if name == "flagged" else float(text)
