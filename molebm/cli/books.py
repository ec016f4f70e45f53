"""Whether every input is there exactly once, when shards come together."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Final

from molebm.cli.shard_files import Entry
from molebm.errors import RequestError

_SHOWN: Final = 5  # records that are named of those amiss


class Books:
    """Counts inputs in order, and notes which are missing or doubled, in memory that does not grow with them.

    Parameters
    ----------
    total
        Number of inputs, if it is known; without it nobody can tell whether the last are missing.
    n_shards
        Number of shards, if it is known, to name those that are missing.
    """

    def __init__(self, total: int | None, n_shards: int | None) -> None:
        self._total, self._n_shards = total, n_shards
        self._next = 0
        self._last: Path | None = None  # shard of the record before
        self._n_missing = self._n_doubled = self._n_beyond = 0
        self._missing: list[int] = []  # the first of them
        self._doubled: list[int] = []
        self._missing_shards: Counter[int] = Counter()  # numbers from 1
        self._doubling: Counter[tuple[str, str]] = Counter()

    def enter(self, entry: Entry) -> None:
        """Count one input."""
        if entry.record < self._next:
            self._n_doubled += 1
            self._doubled = [*self._doubled, entry.record][:_SHOWN]
            self._doubling[str(self._last), str(entry.shard)] += 1
        elif self._total is not None and entry.record >= self._total:
            self._n_beyond += 1
        self._miss(entry.record)
        self._next = max(self._next, entry.record + 1)
        self._last = entry.shard

    def close(self) -> None:
        """Say whether they add up.

        Raises
        ------
        RequestError
            If they do not, naming what is missing and what is doubled.
        """
        if self._total is not None:
            self._miss(self._total)
        told = [*self._told_missing(), *self._told_doubled()]
        if self._n_beyond:
            told.append(f"{self._n_beyond} are beyond the {self._total} of the input")
        if told:
            cure = "run or add what is missing, and name every shard of one run once"
            raise RequestError(f"the books do not add up: {', and '.join(told)}; {cure}")

    def _miss(self, up_to: int) -> None:
        for record in range(self._next, up_to):
            self._n_missing += 1
            if len(self._missing) < _SHOWN:
                self._missing.append(record)
            if self._n_shards:
                self._missing_shards[record % self._n_shards + 1] += 1

    def _told_missing(self) -> list[str]:
        if not self._n_missing:
            return []
        words = f"{self._n_missing} inputs are missing, records {_listed(self._missing, self._n_missing)}"
        if self._n_shards:
            shards = sorted(self._missing_shards)
            words += f", of shards {_listed([f'{n}/{self._n_shards}' for n in shards[:_SHOWN]], len(shards))}"
        return [words]

    def _told_doubled(self) -> list[str]:
        if not self._n_doubled:
            return []
        pairs = [f"'{one}' and '{other}'" for (one, other), _ in self._doubling.most_common(_SHOWN)]
        records = _listed(self._doubled, self._n_doubled)
        return [f"{self._n_doubled} inputs are doubled, records {records}, in {_listed(pairs, len(self._doubling))}"]


def _listed(shown: list[int] | list[str], total: int) -> str:
    return ", ".join(map(str, shown)) + (", ..." if total > len(shown) else "")
