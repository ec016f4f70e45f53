"""Units computed here or in other processes, with results in the order of the input."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import torch

from molebm.conformers.batching import Unit
from molebm.conformers.computing import Job, compute
from molebm.conformers.crew import Crew
from molebm.conformers.input_order import Finished, InputOrder


def in_this_process(units: Iterable[Unit], job: Job) -> Iterator[Finished]:
    """Compute unit after unit, on one thread: the kernel gains nothing from more."""
    order = InputOrder()
    for unit in units:
        for batch in unit.batches:
            n_threads = torch.get_num_threads()
            torch.set_num_threads(1)
            try:
                results = compute(batch.records, unit.work, job)
            finally:
                torch.set_num_threads(n_threads)
            order.put(batch, results)
            yield from order.take()


def in_processes(units: Iterable[Unit], job: Job, n_processes: int) -> Iterator[Finished]:
    """Compute units in processes of one thread each, a bounded number of records in memory.

    A molecule that takes its process down twice, out of memory or by a fault in compiled code, becomes
    a failure, and so does one that hangs; what it was computed with is computed again.

    Raises
    ------
    RequestError
        If no process can be started.
    """
    crew = Crew(units, job, n_processes)
    try:
        while crew.has_work():
            crew.hand_out()
            crew.collect()
            yield from crew.order.take()
    finally:
        crew.kill()
