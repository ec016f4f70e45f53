"""Processes that share the units of a run: who does what next, and what becomes of the work of one that dies."""

from __future__ import annotations

import itertools
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Final

from molebm.conformers.backends import devices_of
from molebm.conformers.batching import WINDOW, Batch, Unit
from molebm.conformers.computing import Job
from molebm.conformers.input_order import InputOrder
from molebm.conformers.outcomes import failure
from molebm.conformers.worker_process import WorkerProcess
from molebm.errors import RequestError

AHEAD: Final = 128  # records of each process that are taken from the input while the first of them is not done
_TICK: Final = 1.0  # s between looks at whether a process hangs

_DIED: Final = "the process that computed it died twice, {}, out of memory or by a fault; leave it out, or report it"
_HUNG: Final = "it went on beyond the time limit and was ended; raise --time-limit, or leave it out"


class Crew:
    """The processes of one run, the units they have yet to do, and the results that wait for those before them."""

    def __init__(self, units: Iterable[Unit], job: Job, n_processes: int) -> None:
        self.order = InputOrder()
        self._job = job
        self._units = iter(units)
        self._next = next(self._units, None)  # read while the processes are busy
        self._again: deque[Unit] = deque()  # left behind by processes that died
        self._died_once: set[int] = set()  # places of molecules
        self._n_given = 0  # records
        self._most_ahead = (
            AHEAD * n_processes if job.settings.device.startswith("cpu") else max(2 * WINDOW, AHEAD * n_processes)
        )
        devices = itertools.cycle(devices_of(job.settings.device))
        self._workers = [WorkerProcess(_on(device, job)) for device in itertools.islice(devices, n_processes)]
        self._clock = time.monotonic()

    def has_work(self) -> bool:
        """Say whether anything is left to give out or to wait for."""
        return self._next is not None or bool(self._again) or self._in_progress()

    def hand_out(self) -> None:
        """Give every idle process a unit, as long as results do not wait for too many before them."""
        for worker in [worker for worker in self._workers if worker.ready and not worker.batches]:
            unit = self._draw()
            if unit is None:
                return
            try:
                worker.give(unit)
            except OSError:
                self._replace(worker)
            if self._next is None:
                self._next = next(self._units, None)

    def collect(self) -> None:
        """Wait a little for answers, and part with processes that have died or hang."""
        by_connection = {worker.connection: worker for worker in self._workers}
        for connection in wait(list(by_connection), timeout=_TICK):
            worker = by_connection[connection]  # type: ignore[index]
            try:
                answer = worker.take()
            except (EOFError, OSError):
                self._replace(worker)
                continue
            if answer is not None:
                self.order.put(*answer)
        last, self._clock = self._clock, time.monotonic()
        for worker in list(self._workers):
            if worker.is_late(self._clock - last):
                self._replace(worker, hung=True)

    def kill(self) -> None:
        """End all processes at once."""
        for worker in self._workers:
            worker.kill()

    def _in_progress(self) -> bool:
        return any(worker.batches for worker in self._workers)

    def _draw(self) -> Unit | None:
        if self._again:
            return self._again.popleft()
        unit = self._next
        if unit is None or (self._n_given - self.order.n_taken >= self._most_ahead and self._in_progress()):
            return None
        self._next = None
        self._n_given += unit.n_records
        return unit

    def _replace(self, worker: WorkerProcess, *, hung: bool = False) -> None:
        """Put another process in the place of one that is done for, and deal with the batches it has not answered.

        One that never got ready is not replaced: the next would fare no better.
        """
        end = worker.end()
        self._workers.remove(worker)
        if worker.ready:
            self._workers.append(WorkerProcess(worker.job))
        elif not self._workers:
            raise RequestError(
                f"no worker process could start: the last ended {end}; free memory, or use fewer --threads"
            )
        if worker.batches:
            first, *rest = worker.batches
            if rest:
                self._again.appendleft(Unit(tuple(rest), worker.work))
            self._deal_with(first, worker.work, _HUNG if hung else _DIED.format(end), once_more=not hung)

    def _deal_with(self, batch: Batch, work: float, reason: str, *, once_more: bool) -> None:
        """Compute the batch at which a process was lost again, in halves, until one molecule is left to blame."""
        if len(batch.records) > 1:
            self._again.extendleft(Unit((half,), work) for half in reversed(batch.halves()))
        elif once_more and batch.places[0] not in self._died_once:
            self._died_once.add(batch.places[0])
            self._again.appendleft(Unit((batch,), work))
        else:
            self._died_once.discard(batch.places[0])
            (record,) = batch.records
            self.order.put(batch, [self._job.finish([failure(record.name, record.source, reason)])])


def _on(device: str, job: Job) -> Job:
    return job._replace(settings=replace(job.settings, device=device))
