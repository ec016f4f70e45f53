"""How far a run has come, on disk beside its output: enough to go on after it was killed at any moment."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final, TypeAlias

from molebm.cli.part_file import Extent
from molebm.errors import RequestError

FORMAT: Final = 2

Request: TypeAlias = Mapping[str, str | float | None]
"""All that decides the output, by names that a person can read."""


@dataclass(frozen=True, slots=True)
class Journal:
    """What is done of a request, and the extent of its files then."""

    request: Request
    replaces: bool  # an output that was there before
    next_record: int = 0  # in the whole input
    n_failed: int = 0
    counts: Mapping[str, int] = field(default_factory=dict)  # of what else is told at the end
    extents: Sequence[Extent] = ()  # of the output, the table of failures, and further tables
    complete: bool = False  # but for the names of the files


def write_journal(path: Path, journal: Journal) -> None:
    """Put it in the place of the last, which stays until this one is safe."""
    new = path.with_name(f"{path.name}.new")
    with new.open("w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, **asdict(journal)}, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, path)


def read_journal(path: Path) -> Journal:
    """Read what `write_journal` wrote.

    Raises
    ------
    RequestError
        If it is no journal of this format.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        if fields.pop("format") != FORMAT:
            raise ValueError("another format")
        journal = Journal(**fields)
        return replace(journal, extents=tuple(Extent(*extent) for extent in journal.extents))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RequestError(f"'{path}' is not the journal of a run that can be gone on with; use --force") from error


def check_same_request(journal: Journal, request: Request) -> None:
    """Refuse to go on with other settings, another input or another version than a run was begun with.

    Raises
    ------
    RequestError
        If anything differs, naming it.
    """
    then, now = journal.request, json.loads(json.dumps(request))
    differing = [name for name in {**then, **now} if then.get(name) != now.get(name)]
    if differing:
        told = ", ".join(f"{name} {then.get(name)} and not {now.get(name)}" for name in differing)
        raise RequestError(f"the run to go on with was begun with {told}; ask for the same, or start anew with --force")
