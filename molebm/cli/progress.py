"""A progress bar for jobs that yield: on standard error, and only where a person watches."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text


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
    description: str, *, total: int | None = None, unit: str = "item", quiet: bool = False
) -> Iterator[Callable[[int], None]]:
    """Show a bar with rate and remaining time, and give the function that advances it by a number of items.

    Nothing is shown if `quiet`, or if standard error is not a terminal. Unknown `total` shows a
    pulse in place of the remaining time.
    """
    console = Console(stderr=True)
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        RateColumn(unit),
        TimeRemainingColumn(),
    )
    shown = Progress(*columns, console=console, disable=quiet or not sys.stderr.isatty())
    with shown:
        task = shown.add_task(description, total=total)
        yield lambda count: shown.advance(task, count)
