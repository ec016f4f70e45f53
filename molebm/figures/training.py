"""How a training run went, from its log."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from matplotlib.axes import Axes

from molebm.errors import RequestError
from molebm.figures.style import INK, given_or_new

Entry: TypeAlias = Mapping[str, Any]
LOG: Final = "log.jsonl"
PREFERRED: Final = ("pearson",)  # of the validation of a run; else the first that it has


def read_training_log(run: str | Path) -> list[dict[str, Any]]:
    """Read the log of a run, given its folder or the file, one entry for each report, by rising update.

    What was done again after an interruption is there twice, and the later counts.

    Raises
    ------
    RequestError
        If there is no log, or it is damaged before its last line.
    """
    path = Path(run)
    path = path / LOG if path.is_dir() else path
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise RequestError(f"cannot read '{path}': {error.strerror}; give the folder of a run") from error
    entries: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            entries[int(entry["update"])] = entry
        except (ValueError, TypeError, KeyError) as error:
            if number == len(lines):
                break  # the run is writing it, or was cut off there
            raise RequestError(f"'{path}' line {number} is no entry of a log; correct or remove it") from error
    if not entries:
        raise RequestError(f"'{path}' has no entries yet; wait for the first report")
    return [entries[update] for update in sorted(entries)]


def plot_training(log: Sequence[Entry], axes: Axes | None = None) -> Axes:
    """Plot the loss of each stage and, at the right, what was found on held-out molecules, and return the axes.

    Losses of different stages are of different objectives, and only those of one stage can be compared.

    Parameters
    ----------
    log
        As `read_training_log` reads it, or the reports of a run as dictionaries.
    axes
        Where to plot the loss; those of a new figure if left out.
    """
    axes = given_or_new(axes)
    stages = dict.fromkeys(str(entry.get("stage", "loss")) for entry in log)
    for stage in stages:
        of_stage = [entry for entry in log if str(entry.get("stage", "loss")) == stage]
        axes.plot([one["update"] for one in of_stage], [one["loss"] for one in of_stage], linewidth=1.3, label=stage)
    axes.set(xlabel="updates", ylabel="loss")
    if all(entry["loss"] > 0 for entry in log):
        axes.set_yscale("log")
    lines = axes.get_lines()
    measure, checks = _validation(log)
    if checks:
        right = axes.twinx()
        right.spines["right"].set_visible(True)
        lines = [*lines, *right.plot(*zip(*checks, strict=True), "o--", color=INK, markersize=3.5, label=measure)]
        right.set_ylabel(measure)
    axes.legend(lines, [str(line.get_label()) for line in lines], frameon=False, loc="best")
    return axes


def _validation(log: Sequence[Entry]) -> tuple[str, list[tuple[int, float]]]:
    """Find what was measured on held-out molecules, with the updates when it was."""
    for name in PREFERRED:
        found = [(entry["update"], entry[name]) for entry in log if entry.get(name) is not None]
        if found:
            return f"held out, {name}", found
    checked = [(entry["update"], entry["validation"]) for entry in log if entry.get("validation")]
    if not checked:
        return "", []
    name = next(iter(checked[0][1]))
    return f"held out, {name}", [(update, values[name]) for update, values in checked if name in values]
