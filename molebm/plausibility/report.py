"""One page that shows a scored file: how many are flagged, which are worst, and where in each."""

from __future__ import annotations

import heapq
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from rdkit import Chem

from molebm.figures.colours import COLOUR_STOPS
from molebm.figures.depiction import data_uri, depiction, finite_scores
from molebm.figures.page import cell, page
from molebm.figures.scene import Scene, scene
from molebm.plausibility.report_figures import N_BINS, p_value_histogram

ROWS: Final = 5000  # of scored records in the table
UNSCORED_ROWS: Final = 500
STRUCTURES: Final = 20  # drawn
STATUSES: Final = 50  # told apart; an error may name its record, and so be one of many
OTHER_STATUSES: Final = "other reasons"

Item = TypeVar("Item")


class Scored(Protocol):
    """What is shown of one record; see `molebm.plausibility.scoring.Score`."""

    @property
    def record(self) -> int: ...
    @property
    def name(self) -> str: ...
    @property
    def source(self) -> str: ...
    @property
    def status(self) -> str: ...
    @property
    def energy(self) -> float | None: ...
    @property
    def score(self) -> float | None: ...
    @property
    def p_value(self) -> float | None: ...
    @property
    def flagged(self) -> bool | None: ...
    @property
    def reasons(self) -> Sequence[str]: ...
    @property
    def channels(self) -> Mapping[str, tuple[float | None, float | None]]: ...  # score, p-value
    @property
    def atom_scores(self) -> Sequence[float]: ...  # (N,) 0 or more
    @property
    def mol(self) -> Chem.Mol | None: ...  # (N,) atoms, with a conformer


class _Row(NamedTuple):
    """One line of the table."""

    record: int
    name: str
    status: str
    energy: float | None
    score: float | None
    p_value: float | None
    flagged: bool | None
    reasons: str
    channels: dict[str, tuple[float | None, float | None]]

    @property
    def state(self) -> str:
        return "unscored" if self.score is None else "flagged" if self.flagged else "passed"


class _Drawn(NamedTuple):
    """One of the worst structures, as a drawing and in space."""

    row: _Row
    source: str
    reasons: list[str]
    image: str  # SVG as a data URI
    scene: Scene


class _Worst(Generic[Item]):
    """The worst so many of all that is offered; of two that are as bad, the one that came first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._heap: list[tuple[tuple[bool, float], int, Item]] = []

    def offer(self, badness: tuple[bool, float], place: int, item: Item) -> None:
        heapq.heappush(self._heap, (badness, -place, item))
        if len(self._heap) > self._most:
            heapq.heappop(self._heap)

    def ranked(self) -> list[Item]:
        return [item for _, _, item in sorted(self._heap, key=lambda entry: entry[:2], reverse=True)]


class ReportCollector:
    """Gathers what a page shows from one score at a time, in memory that does not grow with their number.

    Everything is counted. The table keeps the worst `n_rows` scored records, the flagged before all others, and
    the first records without a score; only the worst `n_structures` keep their molecules. The page says what
    was left out.

    Parameters
    ----------
    source
        What was scored, for the title.
    alpha
        At most this p-value is flagged.
    facts
        More to tell at the head of the page, such as the energy that was used.
    """

    def __init__(
        self,
        source: str = "",
        *,
        alpha: float = 0.05,
        facts: Mapping[str, str] | None = None,
        n_rows: int = ROWS,
        n_structures: int = STRUCTURES,
    ) -> None:
        self.source = source
        self.alpha = alpha
        self.facts = dict(facts or {})
        self.n_records = self.n_scored = self.n_flagged = 0
        self.statuses: Counter[str] = Counter()
        self.p_values: list[int] = [0] * N_BINS  # equal bins of (0, 1]
        self.channels: dict[str, list[int]] = {}  # scored, unlikely
        self._rows: _Worst[_Row] = _Worst(n_rows)
        self._structures: _Worst[tuple[_Row, Scored, Chem.Mol]] = _Worst(n_structures)
        self._unscored: list[_Row] = []

    def add(self, found: Scored) -> None:
        """Count one record, and keep it if it is among the worst."""
        place = self.n_records
        self.n_records += 1
        status = cell(found.status)
        self.statuses[status if status in self.statuses or len(self.statuses) < STATUSES else OTHER_STATUSES] += 1
        row = _row(found)
        if row.score is None:
            if len(self._unscored) < UNSCORED_ROWS:
                self._unscored.append(row)
            return
        self.n_scored += 1
        self.n_flagged += bool(row.flagged)
        if row.p_value is not None:
            self.p_values[min(max(math.ceil(row.p_value * N_BINS) - 1, 0), N_BINS - 1)] += 1
        for name, (_, p_value) in row.channels.items():
            counts = self.channels.setdefault(name, [0, 0])
            counts[0] += p_value is not None
            counts[1] += p_value is not None and p_value <= self.alpha
        badness = (bool(row.flagged), math.inf if math.isnan(row.score) else row.score)
        self._rows.offer(badness, place, row)
        if found.mol is not None and found.mol.GetNumConformers():
            self._structures.offer(badness, place, (row, found, found.mol))

    def render(self) -> str:
        """Return the page as HTML, to be written as UTF-8."""
        scored = self._rows.ranked()
        drawn = [_drawn(*kept) for kept in self._structures.ranked()]
        return page(
            "molebm.plausibility",
            "report.html.j2",
            "report.js",
            facts=self.facts,
            source=cell(self.source),
            alpha=self.alpha,
            report=self,
            n_unscored=self.n_records - self.n_scored,
            n_p_values=sum(self.p_values),
            statuses=self.statuses.most_common(),
            histogram=p_value_histogram(self.p_values, self.alpha),
            rows=[*scored, *self._unscored],
            n_scored_left_out=self.n_scored - len(scored),
            n_unscored_left_out=self.n_records - self.n_scored - len(self._unscored),
            drawn=drawn,
            drawn_records={structure.row.record for structure in drawn},
            colour_stops=COLOUR_STOPS,
            scenes=[structure.scene for structure in drawn],
        )


def _row(found: Scored) -> _Row:
    return _Row(
        found.record,
        cell(found.name),
        cell(found.status),
        found.energy,
        found.score,
        found.p_value if found.p_value is None or math.isfinite(found.p_value) else None,
        found.flagged,
        cell("; ".join(found.reasons)),
        dict(found.channels),
    )


def _drawn(row: _Row, found: Scored, mol: Chem.Mol) -> _Drawn:
    scores = finite_scores(found.atom_scores, mol.GetNumAtoms())
    image = data_uri(depiction(mol, scores))
    return _Drawn(row, cell(found.source), [cell(reason) for reason in found.reasons], image, scene(mol, scores))
