"""From a batch of records to what is wanted of each, in whatever process it is done."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from molebm.chem.reading import Record
from molebm.conformers.backends import choose_backend, compiler_works
from molebm.conformers.batch import generate_batch
from molebm.conformers.outcomes import Outcomes
from molebm.conformers.settings import GenerationSettings
from molebm.parametrise import Parametrise, named_energy

Finish: TypeAlias = Callable[[Outcomes], Any]
"""Turns the outcomes of one record into what is wanted of them, such as text; done where they were computed."""


class Job(NamedTuple):
    """All that a process must know to compute batches."""

    settings: GenerationSettings
    finish: Finish


def compute(records: Sequence[Record], work: float, job: Job) -> list[Any]:
    """Compute a batch, the `work` of the run so far deciding how, and finish the outcomes of each record."""
    settings = job.settings
    energy = parametrise(settings.energy, settings.model)
    backend = choose_backend(settings, work)
    if backend == "compiled" and not compiler_works(energy, settings.device):
        backend = "torch"
    return [job.finish(outcomes) for outcomes in generate_batch(records, backend, settings, energy)]


@functools.cache
def parametrise(energy: str, model: str | Path | None) -> Parametrise:
    """Load an energy once in each process."""
    return named_energy(energy, model).parametrise
