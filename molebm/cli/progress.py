"""A progress bar for jobs that yield: on standard error, and only where a person watches."""

import sys
import threading
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

_PERIOD = 300.0  # s over which the rate is taken; molecules differ


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
    """
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
