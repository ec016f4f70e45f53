"""A progress bar for jobs that yield: on standard error, and only where a person watches."""

import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from molebm.cli.log import JsonLog, json_log

_PERIOD = 300.0  # s over which the rate is taken; molecules differ
_BETWEEN_EVENTS = 5.0  # s


class RateColumn(ProgressColumn):
    """How many items are done per second, or how many seconds one takes."""

    def __init__(self, unit: str) -> None:
        super().__init__()
        self.unit = unit

    def render(self, task: Task) -> Text:
        rate = task.finished_speed or task.speed
        if not rate:
            return Text("")
        return Text(f"{rate:.1f} {self.unit}/s" if rate >= 1 else f"{1 / rate:.1f} s/{self.unit}")


@contextmanager
def progress(
    description: str,
    *,
    total: int | Callable[[], int | None] | None = None,
    completed: int = 0,
    unit: str = "item",
    quiet: bool = False,
) -> Iterator[Callable[[int], None]]:
    """Show a bar with rate and remaining time, and give the function that advances it by a number of items.

    Nothing is shown if `quiet`, or if standard error is not a terminal. A `total` that has to be counted is
    counted beside the work; until then, and where it is not known, there is a pulse in place of the remaining time.
    In a log of JSON there are events in place of the bar.
    """
    log = json_log()
    if log is not None:
        yield from _events(log, description, total, completed, unit, quiet)
        return
    is_shown = not quiet and sys.stderr.isatty()
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    shown = Progress(*columns, console=Console(stderr=True), disable=not is_shown, speed_estimate_period=_PERIOD)
    with shown:
        task = shown.add_task(description, total=None if callable(total) else total, completed=completed)
        if callable(total) and is_shown:
            count = total
            threading.Thread(target=lambda: shown.update(task, total=count()), daemon=True).start()
        yield lambda n_items: shown.advance(task, n_items)


def _events(
    log: JsonLog,
    description: str,
    total: int | Callable[[], int | None] | None,
    completed: int,
    unit: str,
    quiet: bool,
) -> Iterator[Callable[[int], None]]:
    """Log the first and the last state, and every few seconds one between."""
    began = time.monotonic()
    known: list[int | None] = [None if callable(total) else total]
    done, last = completed, -_BETWEEN_EVENTS

    def write() -> None:
        nonlocal last
        last = time.monotonic() - began
        rate = (done - completed) / last if last > 0 else 0.0
        left = None if known[0] is None or not rate else round(max(0, known[0] - done) / rate, 1)
        told = {"done": done, "total": known[0], "rate": round(rate, 4), "remaining": left}
        log.write("progress", task=description, unit=unit, **told)

    def advance(n_items: int) -> None:
        nonlocal done
        done += n_items
        if not quiet and time.monotonic() - began - last >= _BETWEEN_EVENTS:
            write()

    if callable(total):
        count = total
        threading.Thread(target=lambda: known.__setitem__(0, count()), daemon=True).start()
    advance(0)
    try:
        yield advance
    finally:
        if not quiet:
            write()
