"""What `molebm score --plot` draws: scores in the order of the input."""

from __future__ import annotations

import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Final

from molebm.errors import RequestError

if TYPE_CHECKING:
    from molebm.plausibility.report import Scored

_WHEN: Final = {".png": "Creation Time", ".svg": "Date", ".pdf": "CreationDate"}
KINDS: Final = tuple(_WHEN)
_DPI: Final = 150


class ScorePlot:
    """Keeps some numbers of each record, a dozen, and draws them in the end."""

    def __init__(self, *, alpha: float, stride: int | None) -> None:
        self._alpha = alpha
        self._stride = stride  # of a trajectory
        self._scores: list[float] = []
        self._flagged: list[bool] = []
        self._channels: dict[str, list[float]] = {}

    def add(self, found: Scored) -> None:
        """Take the next record."""
        missing = float("nan")
        n_before = len(self._scores)
        self._scores.append(missing if found.score is None else found.score)
        self._flagged.append(bool(found.flagged))
        for name in {*self._channels, *found.channels}:
            score, _ = found.channels.get(name, (None, None))
            column = self._channels.setdefault(name, [missing] * n_before)
            column.append(missing if score is None else score)

    def write(self, path: Path) -> None:
        """Draw into a file, which is complete or not there; without records there is none."""
        import matplotlib as mpl

        from molebm.figures.score_trace import score_trace
        from molebm.figures.style import STYLE
        from molebm.plausibility.scores import ALL_CHANNELS

        if not self._scores:
            return
        places = range(0, len(self._scores) * (self._stride or 1), self._stride or 1)
        channels = {name: self._channels[name] for name in ALL_CHANNELS if name in self._channels}
        figure = score_trace(
            places,
            self._scores,
            self._flagged,
            channels,
            alpha=self._alpha,
            place="frame" if self._stride else "record",
        )
        part = path.with_name(f".{secrets.token_hex(4)}.part{path.suffix.lower()}")
        try:
            with mpl.rc_context(STYLE):
                figure.savefig(part, dpi=_DPI, metadata={_WHEN[path.suffix.lower()]: None})  # the same bytes again
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


def check_plot(path: Path) -> None:
    """Raise a RequestError if a plot cannot be of that kind."""
    if path.suffix.lower() not in KINDS:
        raise RequestError(f"plot '{path}' is of an unknown kind; known are {' '.join(KINDS)}")
