"""The page of a table of scores, with the worst structures drawn."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from rdkit import Chem

from molebm.chem.reading import read_molecules
from molebm.cli.score_output import score_rows
from molebm.plausibility.report import STRUCTURES, ReportCollector, Scored
from molebm.plausibility.scores import ALL_CHANNELS, OK

Row = Mapping[str, str]
Again: TypeAlias = Callable[[Mapping[int, "Tabled"]], Iterator[Scored]]
"""Gives what is drawn of the worst, by their record."""


@dataclass(frozen=True, slots=True)
class Tabled:
    """What a table says of one record."""

    record: int
    name: str
    source: str
    status: str
    energy: float | None
    score: float | None
    p_value: float | None
    flagged: bool | None
    reasons: Sequence[str]
    channels: Mapping[str, tuple[float | None, float | None]]
    atom_scores: Sequence[float] = ()
    mol: Chem.Mol | None = field(default=None, repr=False)


def page_of_table(table: Path, again: Again, title: str, alpha: float, facts: Mapping[str, str] | None = None) -> str:
    """Render the page, the table read twice: for the worst, which are drawn, and for all."""
    with score_rows(table) as rows:
        scored = (found for found in map(_tabled, rows) if found.score is not None)
        worst = heapq.nsmallest(STRUCTURES, scored, key=lambda one: (not one.flagged, -(one.score or 0), one.record))
    drawn = {one.record: one for one in again({one.record: one for one in worst})}
    page = ReportCollector(title, alpha=alpha, facts=facts)
    with score_rows(table) as rows:
        for found in map(_tabled, rows):
            page.add(drawn.get(found.record, found))
    return page.render()


def drawable(sdf: Path, worst: Mapping[int, Tabled]) -> Iterator[Scored]:
    """Read the structures of the worst from the file that was scored; the scores of atoms are not known."""
    for record in read_molecules(sdf, wanted=lambda index: index in worst):
        one = worst[record.index]
        yield Tabled(
            one.record,
            one.name,
            record.source,
            one.status,
            one.energy,
            one.score,
            one.p_value,
            one.flagged,
            one.reasons,
            one.channels,
            mol=record.mol,
        )


def _tabled(row: Row) -> Tabled:
    channels = {name: (_number(row[f"{name}_score"]), _number(row[f"{name}_p_value"])) for name in ALL_CHANNELS}
    return Tabled(
        int(row["record"] or -1),
        row["name"],
        "",
        row["status"],
        _number(row["energy_kcal_mol"]),
        _number(row["score"]),
        _number(row["p_value"]),
        None if not row["flagged"] else row["flagged"] == "True",
        tuple(reason for reason in row["reasons"].split("; ") if reason) if row["status"] == OK else (),
        {name: found for name, found in channels.items() if found != (None, None)},
    )


def _number(text: str) -> float | None:
    return float(text) if text else None
