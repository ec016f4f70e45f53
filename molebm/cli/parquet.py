"""Tables in Parquet, made from the same table in CSV so that both say the same."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from molebm.conformers.outcomes import INPUT_RECORD, STEREOISOMER
from molebm.errors import RequestError

if TYPE_CHECKING:
    import pyarrow

    from molebm.chem.writing import WriteRow

PARQUET: Final = (".parquet", ".pq")
_INTEGERS: Final = ("record", INPUT_RECORD, "atom", "n_calibration")
_TEXTS: Final = (
    *("name", "status", STEREOISOMER, "reasons"),
    *("element", "channel", "kind", "atoms", "words", "diagnosis"),
)
_ROWS: Final = 20_000  # in memory at once, and in a group of rows of the file


def is_in_parquet(table: Path) -> bool:
    """Say whether a table of that name is to be Parquet."""
    return table.suffix.lower() in PARQUET


@contextmanager
def table_writer(path: Path, columns: Sequence[str], *, force: bool = False) -> Iterator[WriteRow]:
    """Give the function that appends rows to a table in Parquet, CSV or TSV, chosen by the extension.

    The table appears, complete, when the block ends without an error; see `csv_writer`. One in Parquet is a hidden
    one in CSV until then, so that memory does not grow with it, and its numbers have the digits of CSV.

    Raises
    ------
    RequestError
        As `csv_writer` and `check_parquet`.
    """
    from molebm.chem.writing import csv_writer

    if not is_in_parquet(path):
        with csv_writer(path, columns, force=force) as write:
            yield write
        return
    check_parquet()
    if path.exists() and not force:
        raise RequestError(f"output '{path}' exists; name another file, or overwrite it with --force")
    rows = path.with_name(f".{path.name}.{os.getpid()}.csv")
    try:
        with csv_writer(rows, columns, force=True) as write:
            yield write
        write_parquet(rows, path)
    finally:
        rows.unlink(missing_ok=True)


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
