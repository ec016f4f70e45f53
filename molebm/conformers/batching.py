"""Which molecules are computed together: decided by the input alone, so that every run decides the same."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from molebm.chem.reading import Record
from molebm.conformers.settings import GenerationSettings

CHAINS_STEP: Final = 16  # single-precision numbers in the widest vector register
CPU_BUDGET: Final = 400_000  # pairs times chains in a batch; its arrays then stay in the cache
GPU_BUDGET: Final = 4_000_000
LARGEST_BATCH: Final = 128  # molecules


@dataclass(frozen=True, slots=True)
class Batch:
    """Records that follow one another, the failed among them, and the work that went before them."""

    records: tuple[Record, ...]
    work: float  # pairs times chains up to the end of this batch


def number_of_chains(n_conformers: int) -> int:
    """Run half as many chains again as conformers are wanted, since some end in the same minimum."""
    return -(-3 * n_conformers // (2 * CHAINS_STEP)) * CHAINS_STEP


def number_of_starts(n_conformers: int) -> int:
    """Embed a few: hot dynamics does the rest for a fraction of the time that embedding takes."""
    return max(4, -(-n_conformers // 4))


def batches(records: Iterable[Record], settings: GenerationSettings) -> Iterator[Batch]:
    """Cut a stream of records into batches of about equal work."""
    n_chains = number_of_chains(settings.n_conformers)
    budget = CPU_BUDGET if settings.device.startswith("cpu") else GPU_BUDGET
    waiting: list[Record] = []
    work = total = 0.0
    for record in records:
        cost = estimated_pairs(record) * n_chains
        if waiting and (work + cost > budget or len(waiting) == LARGEST_BATCH):
            yield Batch(tuple(waiting), total)
            waiting, work = [], 0.0
        waiting.append(record)
        work += cost
        total += cost
    if waiting:
        yield Batch(tuple(waiting), total)


def estimated_pairs(record: Record) -> float:
    """Half the square of the number of atoms, hydrogens included; 0 where there is no molecule."""
    return 0.0 if record.mol is None else record.mol.GetNumAtoms(onlyExplicit=False) ** 2 / 2
