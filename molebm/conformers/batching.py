"""Which molecules are computed together, and which are sent to a process at once: decided by the input alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from molebm.chem.reading import Record
from molebm.conformers.settings import GenerationSettings

CPU_BUDGET: Final = 60_000  # work in a unit: about a second, a few drugs
GPU_BUDGET: Final = 4_000_000  # work in a batch
LARGEST_UNIT: Final = 16  # molecules, on a CPU
LARGEST_BATCH: Final = 128  # molecules, on a GPU
WINDOW: Final = 1024  # records that are sorted by size to fill the batches of a GPU


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that are computed by one call, and the place of each in the stream."""

    places: tuple[int, ...]
    records: tuple[Record, ...]

    def halves(self) -> tuple[Batch, Batch]:
        """Cut in two."""
        middle = len(self.places) // 2
        return (
            Batch(self.places[:middle], self.records[:middle]),
            Batch(self.places[middle:], self.records[middle:]),
        )


@dataclass(frozen=True, slots=True)
class Unit:
    """Batches that one process computes one after the other, and all the work up to their end."""

    batches: tuple[Batch, ...]
    work: float  # see estimated_work

    @property
    def n_records(self) -> int:
        """Number of records in all batches."""
        return sum(len(batch.records) for batch in self.batches)


def units(records: Iterable[Record], settings: GenerationSettings) -> Iterator[Unit]:
    """Cut a stream of records into units of about equal work.

    On a CPU each record is a batch of its own, and a unit holds a few: processes then finish together,
    and what goes wrong with a molecule concerns no other. A GPU needs many molecules of like size at
    once: each window of the stream is sorted by size and cut into batches.
    """
    n = settings.n_conformers
    placed = ((place, record, estimated_work(record, n)) for place, record in enumerate(records))
    if settings.device.startswith("cpu"):
        return _singles(placed)
    return _packed(placed)


Placed = tuple[int, Record, float]  # place in the stream, record, work


def _singles(placed: Iterator[Placed]) -> Iterator[Unit]:
    total = 0.0
    for few in _cut(placed, CPU_BUDGET, LARGEST_UNIT):
        total += sum(work for _, _, work in few)
        yield Unit(tuple(Batch((place,), (record,)) for place, record, _ in few), total)


def _packed(placed: Iterator[Placed]) -> Iterator[Unit]:
    total = 0.0
    while window := list(islice(placed, WINDOW)):
        window.sort(key=lambda one: one[2])
        for many in _cut(window, GPU_BUDGET, LARGEST_BATCH):
            places, records, works = zip(*many, strict=True)
            total += sum(works)
            yield Unit((Batch(places, records),), total)


def _cut(placed: Iterable[Placed], budget: float, most: int) -> Iterator[list[Placed]]:
    """Cut where the work would exceed the budget, or there are as many as may be."""
    some: list[Placed] = []
    total = 0.0
    for one in placed:
        if some and (total + one[2] > budget or len(some) == most):
            yield some
            some, total = [], 0.0
        some.append(one)
        total += one[2]
    if some:
        yield some


def estimated_work(record: Record, n_conformers: int) -> float:
    """Pairs of atoms, hydrogens included, times conformers and a few more that every search takes.

    On a core of 2020 a unit of it is some 15 µs; 0 where there is no molecule.
    """
    if record.mol is None:
        return 0.0
    return record.mol.GetNumAtoms(onlyExplicit=False) ** 2 / 2 * (n_conformers + 12)
