"""The page of a table of scores, with the worst structures drawn."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from rdkit import Chem

from molebm.chem.reading import read_molecules
from molebm.cli.score_output import score_rows
from molebm.plausibility.report import STRUCTURES, ReportCollector, Scored
from molebm.plausibility.scores import ALL_CHANNELS, OK

Row = Mapping[str, str]
Again: TypeAlias = Callable[[Mapping[int, "Tabled"]], Iterable[Scored]]
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


class Worst:
    """Keeps the worst of what is scored, to be drawn."""

    def __init__(self) -> None:
        self._heap: list[tuple[bool, float, int, Scored]] = []

    def add(self, found: Scored) -> None:
        if found.score is not None:
            heapq.heappush(self._heap, (bool(found.flagged), found.score, -found.record, found))
            if len(self._heap) > STRUCTURES:
                heapq.heappop(self._heap)

    def among(self, wanted: Container[int]) -> dict[int, Scored]:
        """Return those of these records, by their record."""
        return {found.record: found for *_, found in self._heap if found.record in wanted}


def page_of_table(table: Path, again: Again, title: str, alpha: float, facts: Mapping[str, str] | None = None) -> str:
    """Render the page, the table read twice: for the worst, which are drawn, and for all."""
    scored = (found for found in tabled(table) if found.score is not None)
    worst = heapq.nsmallest(STRUCTURES, scored, key=lambda one: (not one.flagged, -(one.score or 0), one.record))
    drawn = {one.record: one for one in again({one.record: one for one in worst})}
    page = ReportCollector(title, alpha=alpha, facts=facts)
    for found in tabled(table):
        page.add(drawn.get(found.record, found))
    return page.render()


def tabled(table: Path) -> Iterator[Tabled]:
    """Read a table of scores."""
    with score_rows(table) as rows:
        yield from map(_tabled, rows)


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
