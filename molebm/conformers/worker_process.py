"""A process that computes units, answers batch by batch, and costs one batch if it dies or has to be ended."""

from __future__ import annotations

import multiprocessing
import signal
from collections import deque
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Final

import torch
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.conformers.batching import Batch, Unit
from molebm.conformers.computing import Job, compute, parametrise
from molebm.conformers.outcomes import ALL_PROPERTIES
from molebm.processes import begin_worker

Packed = list[tuple[Record, bytes | None]]

_SPAWN: Final = multiprocessing.get_context("spawn")
_PATIENCE: Final = 2.0  # times the time limit of each molecule
_GRACE: Final = 120.0  # s, for what is done once: compiling, warming up a GPU
_LONGEST_TICK: Final = 5.0  # s; a computer that slept has not computed


class WorkerProcess:
    """One process and the batches it has been given and has not answered."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.connection, theirs = _SPAWN.Pipe()
        self.batches: deque[Batch] = deque()
        self.work = 0.0  # of the unit they are of
        self.ready = False  # whether it has loaded what it needs
        self._limit = _PATIENCE * job.settings.time_limit
        self._seconds = 0.0  # spent on the first of the batches
        self._process = _SPAWN.Process(target=serve, args=(theirs, job), daemon=True)
        self._process.start()
        theirs.close()

    def give(self, unit: Unit) -> None:
        """Send a unit to a process that is ready and idle, and so reads it.

        Raises
        ------
        OSError
            If the process has died.
        """
        self.batches.extend(unit.batches)
        self.work = unit.work
        self._seconds = 0.0
        self.connection.send(([packed(batch) for batch in unit.batches], unit.work))

    def take(self) -> tuple[Batch, list[Any]] | None:
        """Receive the answer to its first batch, or None if it says that it is ready.

        Raises
        ------
        EOFError, OSError
            If the process has died.
        """
        answer = self.connection.recv()
        if answer is None:
            self.ready = True
            return None
        self._seconds = 0.0
        return self.batches.popleft(), answer

    def is_late(self, seconds: float) -> bool:
        """Count so many seconds more on its first batch, and say whether it is beyond all patience.

        Molecules watch their time limit themselves; this is for those that hang where they cannot.
        """
        if not self.batches:
            return False
        self._seconds += min(seconds, _LONGEST_TICK)
        return self._seconds > self._limit * len(self.batches[0].records) + _GRACE

    def end(self) -> str:
        """Kill the process if it lives, and say how it ended."""
        self._process.join(timeout=0.5)
        self.kill()
        code = self._process.exitcode or 0
        return f"by the signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"

    def kill(self) -> None:
        """End the process at once, whatever it is doing."""
        self._process.kill()
        self._process.join()
        self.connection.close()


def serve(connection: Connection, job: Job) -> None:
    """Answer units until the other side is gone.

    An error that nobody foresaw ends the process, with its traceback on standard error: the run then
    leaves out the molecule and goes on.
    """
    begin_worker()
    if job.settings.device.startswith("cuda:"):
        torch.cuda.set_device(job.settings.device)
    parametrise(job.settings.energy, job.settings.model)
    connection.send(None)
    while True:
        try:
            batches, work = connection.recv()
        except EOFError:
            return
        for batch in batches:
            connection.send(compute(unpacked(batch), work, job))


def packed(batch: Batch) -> Packed:
    """Turn molecules into bytes with their properties and full coordinates, which are left out otherwise."""
    return [(replace(r, mol=None), None if r.mol is None else r.mol.ToBinary(ALL_PROPERTIES)) for r in batch.records]


def unpacked(records: Packed) -> list[Record]:
    """Undo `packed`."""
    return [replace(record, mol=None if binary is None else Chem.Mol(binary)) for record, binary in records]
