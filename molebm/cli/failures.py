"""The table of inputs that failed, beside the output."""

from pathlib import Path
from typing import Final

FAILURE_COLUMNS: Final = ("name", "input", "reason", "cure")


def failures_path(output: Path) -> Path:
    """Put .failures.csv in the place of the extension."""
    return output.with_name(Path(output.name.removesuffix(".gz")).stem + ".failures.csv")
