"""Results as the input has them, whatever finishes first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from molebm.conformers.batching import Batch


@dataclass(frozen=True, slots=True)
class Finished:
    """What has become of one record."""

    index: int  # of the record in the whole input
    result: Any  # its outcomes, in the form that was wanted


class InputOrder:
    """Holds back what is finished until all that comes before it in the stream is finished too."""

    def __init__(self) -> None:
        self.n_taken = 0
        self._held: dict[int, Finished] = {}

    def put(self, batch: Batch, results: Sequence[Any]) -> None:
        """Add the results of a batch, one of each record."""
        for place, record, result in zip(batch.places, batch.records, results, strict=True):
            self._held[place] = Finished(record.index, result)

    def take(self) -> Iterator[Finished]:
        """Give all that need no longer wait."""
        while self.n_taken in self._held:
            finished = self._held.pop(self.n_taken)
            self.n_taken += 1
            yield finished
