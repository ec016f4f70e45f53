"""The table of a whole run: a row for each conformer and for each failure, as CSV or Parquet."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from molebm.cli.shard_files import Entry, Row, Structure
from molebm.conformers.outcomes import ENERGY, INPUT_RECORD, RELATIVE_ENERGY, STEREOISOMER, WEIGHT

_RENAMED: Final = {ENERGY: "scored_energy_kcal_mol"}  # of the structure as it stands, by the energy that scored it
_FROM_SDF: Final = (ENERGY, RELATIVE_ENERGY, WEIGHT, STEREOISOMER)
_KEYS: Final = ("record", "name", "status")  # of a table of scores


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
