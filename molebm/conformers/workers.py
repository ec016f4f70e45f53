"""Batches shared among processes: results in the order of the input, whatever finishes first."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Final

import torch
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.conformers.backends import choose_backend, compiler_works
from molebm.conformers.batch import generate_batch
from molebm.conformers.batching import Batch
from molebm.conformers.outcomes import ALL_PROPERTIES, Ensemble, Failure, failure
from molebm.conformers.settings import GenerationSettings
from molebm.parametrise import Parametrise, named_energy
from molebm.processes import process_pool

IN_FLIGHT: Final = 3  # batches of each process that are being computed, wait for it or wait to be read

Outcomes = list[Ensemble | Failure]


def in_this_process(batches: Iterable[Batch], settings: GenerationSettings) -> Iterator[Outcomes]:
    """Compute batch after batch, on one thread: the kernel gains nothing from more."""
    for batch in batches:
        n_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            outcomes = _compute(batch, settings)
        finally:
            torch.set_num_threads(n_threads)
        yield outcomes


def in_processes(batches: Iterable[Batch], settings: GenerationSettings, n_processes: int) -> Iterator[Outcomes]:
    """Compute batches in processes of one thread each, a few batches in memory at a time.

    A molecule that takes its process down, out of memory or by a fault in compiled code, becomes a
    failure; the rest is computed again.
    """
    pool = process_pool(n_processes)
    waiting: deque[tuple[Batch, Future[Outcomes]]] = deque()
    try:
        for batch in batches:
            try:
                future = pool.submit(_compute_packed, _packed(batch), batch.work, settings)
            except BrokenProcessPool:
                pool = process_pool(n_processes)
                future = pool.submit(_compute_packed, _packed(batch), batch.work, settings)
            waiting.append((batch, future))
            if len(waiting) == IN_FLIGHT * n_processes:
                yield _result(*waiting.popleft(), settings)
        while waiting:
            yield _result(*waiting.popleft(), settings)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _result(batch: Batch, future: Future[Outcomes], settings: GenerationSettings) -> Outcomes:
    try:
        return future.result()
    except BrokenProcessPool:
        return _apart(batch, settings)


def _apart(batch: Batch, settings: GenerationSettings) -> Outcomes:
    """Compute a batch in a process of its own and, should that die too, each of its records in one."""
    try:
        with process_pool(1) as pool:
            return pool.submit(_compute_packed, _packed(batch), batch.work, settings).result()
    except BrokenProcessPool:
        pass
    if len(batch.records) > 1:
        alone = (replace(batch, records=(record,)) for record in batch.records)
        return [outcome for one in alone for outcome in _apart(one, settings)]
    (record,) = batch.records
    died = "the process that computed it died, out of memory or by a fault; leave it out, or report it"
    return [failure(record.name, record.source, died)]


def _packed(batch: Batch) -> list[tuple[Record, bytes | None]]:
    """Turn molecules into bytes with their properties and full coordinates, which pickling leaves out."""
    return [(replace(r, mol=None), None if r.mol is None else r.mol.ToBinary(ALL_PROPERTIES)) for r in batch.records]


def _compute_packed(packed: list[tuple[Record, bytes | None]], work: float, settings: GenerationSettings) -> Outcomes:
    records = (replace(record, mol=None if binary is None else Chem.Mol(binary)) for record, binary in packed)
    return _compute(Batch(tuple(records), work), settings)


def _compute(batch: Batch, settings: GenerationSettings) -> Outcomes:
    parametrise = _parametrise(settings.energy, settings.model)
    backend = choose_backend(settings, batch.work)
    if backend == "compiled" and not compiler_works(parametrise, settings.device):
        backend = "torch"
    return generate_batch(batch.records, backend, settings, parametrise)


@functools.cache
def _parametrise(energy: str, model: str | Path | None) -> Parametrise:
    return named_energy(energy, model).parametrise
