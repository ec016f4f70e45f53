"""Flagged structures relaxed as mildly as it takes, so long as they stay the molecule they are meant to be."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Final

import numpy as np
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.errors import MoleculeError, TimeLimitError
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.calibration import Calibration, load_calibration
from molebm.plausibility.mending import (
    Case,
    Energy,
    Mended,
    Step,
    heavy_rmsd,
    mended,
    open_case,
    refold,
    relax_freely,
    relax_hydrogens,
    relax_tethered,
)
from molebm.plausibility.repair_outcome import Kind, Repaired, RepairSettings
from molebm.plausibility.scores import Score
from molebm.plausibility.stereo import mismatches_with
from molebm.plausibility.streaming import Scorer
from molebm.plausibility.structures import admit, records_of

MILD: Final[tuple[Step, ...]] = (relax_hydrogens, relax_tethered, relax_freely)
NO_BETTER: Final = "relaxation makes it no better"
MOST_TOLD: Final = 3  # changes that a step would make


_Score = Callable[[Iterable[Record]], Iterator[Score]]


@dataclass(slots=True)
class _Attempt:
    """A repair under way."""

    record: Record
    before: Score
    case: Case
    steps: tuple[Step, ...]
    mol: Chem.Mol  # from where the next step begins
    best: tuple[Chem.Mol, Score] | None = None  # whole, and better than what is given
    done: bool = False
    why: str = NO_BETTER
    hint: str = ""  # what else can be done


def repair(
    mols: Iterable[Chem.Mol | None],
    *,
    energy: str | NamedEnergy = LEARNED,
    model: str | Path | None = None,
    calibration: Calibration | None = None,
    settings: RepairSettings | None = None,
) -> list[Repaired]:
    """Relax the structures that `score` flags, and leave the others alone; one outcome for each conformer, in order.

    First the hydrogens are relaxed alone, then all atoms with weak springs to where the heavy ones were, then without
    springs, and then from the structure folded anew through a fourth dimension; the first of these that is no longer
    flagged is taken. None is taken that breaks or makes a bond, or has other stereo than is declared or, where none is
    declared, than it had.

    Parameters
    ----------
    mols
        In three dimensions; hydrogens that are missing are added to what is repaired.
    energy
        ``learned``, ``mmff94`` or ``mmff94s``; the latter have no p-values, and so flag nothing but stereo.
    model
        Checkpoint of the learned energy; the shipped one where it is None.
    calibration
        What trusted structures score; the shipped one where it is None.

    Raises
    ------
    RequestError, CheckpointError
        As `score`.
    """
    named = named_energy(energy, model) if isinstance(energy, str) else energy
    return list(repair_records(records_of(mols), named, settings or RepairSettings(), calibration))


def repair_records(
    records: Iterable[Record], energy: NamedEnergy, settings: RepairSettings, calibration: Calibration | None = None
) -> Iterator[Repaired]:
    """Stream one outcome for each record, in their order; memory does not grow with their number.

    Relaxations are done one by one on the CPU, so that a repair does not depend on what is repaired beside it.
    """
    remaining = iter(records)
    scorer = Scorer(energy, settings.scoring, calibration or load_calibration())

    def score(some: Iterable[Record]) -> Iterator[Score]:
        return scorer.stream(iter(some))

    with ThreadPoolExecutor(settings.scoring.threads) as pool:
        while window := list(islice(remaining, settings.scoring.batch_size)):
            yield from _repair_window(window, score, energy, settings, pool)


def _repair_window(
    window: list[Record], score: _Score, energy: NamedEnergy, settings: RepairSettings, pool: Executor
) -> Iterator[Repaired]:
    scores = list(score(window))
    attempts: dict[int, _Attempt] = {}
    failed: dict[int, str] = {}
    refused: dict[int, str] = {}
    for place, (record, before) in enumerate(zip(window, scores, strict=True)):
        try:
            if record.mol is None or (before.score is None and not before.flagged):
                failed[place] = record.error or before.status
            elif before.flagged or settings.relax_all:
                attempts[place] = _begin(record, before, energy, settings)
        except MoleculeError as error:  # of its graph, which was scored and no relaxing can cure
            refused[place] = str(error)
    while pending := [attempt for attempt in attempts.values() if attempt.steps and not attempt.done]:
        _go_on(pending, pool, score)
    for place, (record, before) in enumerate(zip(window, scores, strict=True)):
        if place in failed:
            about = (record.index, record.name, record.source)
            yield Repaired(*about, "failed", failed[place], record.mol, before, before, None)
        elif place in refused:
            yield _unchanged(record, before, "not repaired", refused[place])
        elif place in attempts:
            yield _outcome(attempts[place])
        else:
            yield _unchanged(record, before, "sound")


def _begin(record: Record, before: Score, energy: NamedEnergy, settings: RepairSettings) -> _Attempt:
    structure = admit(record.mol, settings.scoring.declared)
    seed = int(np.random.SeedSequence((settings.scoring.seed, record.index)).generate_state(1)[0])
    case = open_case(structure, Energy(energy.parametrise, settings.environment), settings.time_limit, seed)
    wrong = mismatches_with(structure.mol, structure.declared)
    can_be_rebuilt = bool(wrong) and all(fault.atoms for fault in wrong) and settings.stereo == "refuse"
    if not before.flagged:
        steps: tuple[Step, ...] = (relax_tethered,)
    elif not wrong:
        steps = (*MILD, refold)
    else:
        steps = (refold,) if settings.stereo == "rebuild" else MILD
    hint = "ask for it to be built as declared, with --stereo rebuild" if can_be_rebuilt else ""
    return _Attempt(record, before, case, steps, structure.mol, hint=hint)


def _go_on(pending: Sequence[_Attempt], pool: Executor, score: _Score) -> None:
    """Take the next step of each repair, and score those that are still the molecule they should be."""
    whole = []
    for attempt, found in zip(pending, pool.map(_step, pending), strict=True):
        attempt.steps = attempt.steps[1:]
        if isinstance(found, str):
            attempt.why, attempt.done = found, True
        elif found.faults:
            attempt.mol, attempt.why = found.mol, "; ".join(found.faults[:MOST_TOLD])
        else:
            attempt.mol = found.mol
            whole.append(attempt)
    scores = score([replace(attempt.record, mol=attempt.mol) for attempt in whole])
    for attempt, after in zip(whole, scores, strict=True):
        best = attempt.best[1] if attempt.best else attempt.before
        attempt.done = not after.flagged and after.score is not None
        if attempt.done or _height(after) < _height(best):
            attempt.best = attempt.mol, after
        elif attempt.best is None:
            attempt.why = "; ".join((NO_BETTER, *after.reasons))


def _step(attempt: _Attempt) -> Mended | str:
    try:
        return mended(attempt.case, attempt.steps[0], attempt.mol)
    except (MoleculeError, TimeLimitError) as error:
        return str(error)


def _height(score: Score) -> float:
    return math.inf if score.score is None else score.score


def _outcome(attempt: _Attempt) -> Repaired:
    record, before = attempt.record, attempt.before
    if attempt.best is None:
        kind: Kind = "not repaired" if before.flagged else "sound"
        why = "; ".join(filter(None, (attempt.why, attempt.hint)))
        return _unchanged(record, before, kind, why if before.flagged else "")
    mol, after = attempt.best
    kind = ("repaired" if attempt.done else "improved") if before.flagged else "relaxed"
    rmsd = heavy_rmsd(mol, attempt.case.structure.mol)
    return Repaired(record.index, record.name, record.source, kind, "", mol, before, after, rmsd)


def _unchanged(record: Record, score: Score, kind: Kind, why: str = "") -> Repaired:
    return Repaired(record.index, record.name, record.source, kind, why, record.mol, score, score, 0.0)
