"""Which records of an input are done by which of several runs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from molebm.errors import RequestError


@dataclass(frozen=True, slots=True)
class Shard:
    """Every `count`-th record, from that at `number`, so that each run gets its share of every part of the input.

    Raises
    ------
    RequestError
        If the number is not from 1 to the count.
    """

    number: int  # from 1
    count: int

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.count:
            raise RequestError(
                f"there is no shard {self}: shards count from 1 to {self.count}; add 1 if your array job counts from 0"
            )

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def holds(self, index: int) -> bool:
        """Say whether this shard does the record, by its index in the whole input."""
        return index % self.count == self.number - 1

    def n_records(self, total: int) -> int:
        """Return how many of so many records are in this shard."""
        return len(range(self.number - 1, total, self.count))


WHOLE: Final = Shard(1, 1)


def parse_shard(text: str) -> Shard:
    """Read "3/10", the third of ten.

    Raises
    ------
    RequestError
        If it is not two numbers, or there is no such shard.
    """
    found = re.fullmatch(r"\s*(\d+)\s*/\s*(\d+)\s*", text)
    if found is None:
        raise RequestError(f"shard {text!r} is not of the form 3/10, the third of ten; correct it")
    return Shard(int(found[1]), int(found[2]))
