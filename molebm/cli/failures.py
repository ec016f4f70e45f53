"""The table of inputs that failed, beside the output."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from molebm.conformers.outcomes import Failure

FAILURE_COLUMNS: Final = ("record", "name", "input", "reason", "cure")
"""Of a table of failures; a record is its position in the input, from 0."""


def failures_path(output: Path) -> Path:
    """Put .failures.csv in the place of the extension."""
    return output.with_name(Path(output.name.removesuffix(".gz")).stem + ".failures.csv")


def failure_row(record: int, failed: Failure) -> dict[str, float | str | None]:
    """Return a row of `FAILURE_COLUMNS`."""
    return {"record": record, **{column: getattr(failed, column) for column in FAILURE_COLUMNS[1:]}}
