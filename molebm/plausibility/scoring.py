"""Structures in, one score for each out, in their order, with what is wrong and where."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Final

import pandas as pd
import torch
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.errors import MoleculeError, RequestError
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.assessment import Assessment, assess
from molebm.plausibility.batches import Poses, assemble, batches, runs_of_poses
from molebm.plausibility.conformal import conformal_p_value
from molebm.plausibility.stereo import mismatches_with
from molebm.plausibility.structures import Structure, admit

OK: Final = "ok"
COLUMNS: Final = ("record", "name", "status", "energy_kcal_mol", "score", "p_value", "flagged", "reasons")


@dataclass(frozen=True, slots=True)
class ScoringSettings:
    """What decides a score, and how the work is shared out, which does not.

    Raises
    ------
    RequestError
        If a number is out of its range.
    """

    alpha: float = 0.05  # share of plausible structures that may be flagged
    temperature: float = 300.0  # K, of the thermal energy that scores are measured in
    n_anneals: int = 0  # from each relaxed structure, for a lower reference; there is no p-value for it
    seed: int = 0  # of the anneals; without them nothing is random
    declared: str | None = None  # SMILES of what every structure is meant to be
    device: str = "cpu"
    threads: int = 1
    batch_size: int = 128  # records read before the first is scored

    def __post_init__(self) -> None:
        _require(0 < self.alpha < 1, "alpha", self.alpha, "above 0 and below 1")
        _require(0 < self.temperature < math.inf, "the temperature", self.temperature, "above 0 K")
        _require(self.n_anneals >= 0, "the number of anneals", self.n_anneals, "0 or more")
        _require(self.seed >= 0, "the seed", self.seed, "0 or more")
        _require(self.threads >= 1, "the number of threads", self.threads, "at least 1")
        _require(self.batch_size >= 1, "the batch size", self.batch_size, "at least 1")


@dataclass(frozen=True, slots=True)
class Score:
    """What is said of one record; numbers are None, and `flagged` too, where there is no score."""

    record: int  # counts from 0
    name: str
    source: str
    status: str  # ok, or why there is no score and what to do
    energy: float | None = None  # kcal/mol
    score: float | None = None  # higher is less plausible; thermal structures score about 1
    p_value: float | None = None  # None where the energy has no calibration
    flagged: bool | None = None
    reasons: tuple[str, ...] = ()
    elements: tuple[str, ...] = field(default=(), repr=False)  # (N,) hydrogens that were added last
    atom_excess: tuple[float, ...] = field(default=(), repr=False)  # (N,) kcal/mol

    def row(self) -> dict[str, float | str | None]:
        """Return the record as a row of `COLUMNS`."""
        told = (self.record, self.name, self.status, self.energy, self.score, self.p_value, self.flagged)
        return dict(zip(COLUMNS, (*told, "; ".join(self.reasons)), strict=True))


def score(
    mols: Iterable[Chem.Mol | None],
    *,
    energy: str | NamedEnergy = LEARNED,
    model: str | Path | None = None,
    settings: ScoringSettings | None = None,
) -> pd.DataFrame:
    """Score how plausible molecules are as they stand in space, one row for each conformer, in their order.

    The score is the energy above the same structure relaxed, over 3/2 N kT: 0 where it is relaxed, about 1 for
    a thermal structure, more where bonds are strained or atoms clash. The p-value is the chance that a
    plausible structure scores so high, and a row is flagged where it is at most `settings.alpha`, or where the
    coordinates have not the stereo that the tags of the molecule, or its property ``declared_smiles``, declare.

    Parameters
    ----------
    mols
        In three dimensions, one row for each conformer; what cannot be scored says so in its `status`. Hydrogens
        that are missing are added and relaxed.
    energy
        ``learned``, ``mmff94`` or ``mmff94s``; the latter have no calibration, and so no p-values.
    model
        Checkpoint of the learned energy; the shipped one where it is None.

    Returns
    -------
    Columns record, name, status, energy_kcal_mol, score, p_value, flagged and reasons. Atoms count from 0 in
    the reasons; hydrogens that were added follow the atoms given.

    Raises
    ------
    RequestError, CheckpointError
        As `named_energy`.
    """
    named = named_energy(energy, model) if isinstance(energy, str) else energy
    scores = score_records(_records(mols), named, settings or ScoringSettings())
    table = pd.DataFrame([found.row() for found in scores], columns=list(COLUMNS))
    numbers = ["energy_kcal_mol", "score", "p_value"]
    return table.astype({**dict.fromkeys(numbers, "float64"), "record": "int64", "flagged": "boolean"})


def score_records(records: Iterable[Record], energy: NamedEnergy, settings: ScoringSettings) -> Iterator[Score]:
    """Stream one score for each record, in their order; memory does not grow with their number."""
    remaining = iter(records)
    with ThreadPoolExecutor(settings.threads) as pool:
        while window := list(islice(remaining, settings.batch_size)):
            yield from _score_window(window, energy, settings, pool)


def _score_window(
    window: list[Record], energy: NamedEnergy, settings: ScoringSettings, pool: Executor
) -> Iterator[Score]:
    admitted: dict[int, Structure] = {}
    failed: dict[int, str] = {}
    for place, record in enumerate(window):
        try:
            admitted[place] = _admit(record, settings.declared)
        except MoleculeError as error:
            failed[place] = str(error)
    calibration = () if settings.n_anneals else energy.calibration
    assessed: dict[int, Assessment] = {}
    work = partial(_score_batch, energy=energy, settings=settings)
    for found, without_parameters in pool.map(work, batches(runs_of_poses(admitted.items()))):
        assessed |= found
        failed |= without_parameters
    for place, record in enumerate(window):
        if place in failed:
            yield Score(record.index, record.name, record.source, failed[place])
        else:
            yield _scored(record, admitted[place], assessed[place], calibration, settings.alpha)


def _admit(record: Record, declared: str | None) -> Structure:
    if record.mol is None:
        raise MoleculeError(record.error or "the record cannot be read; write it again")
    return admit(record.mol, declared)


def _score_batch(
    molecules: list[Poses], *, energy: NamedEnergy, settings: ScoringSettings
) -> tuple[dict[int, Assessment], dict[int, str]]:
    device = torch.device(settings.device)
    batch, failed = assemble(molecules, energy.parametrise, device)
    generator = torch.Generator(device).manual_seed(settings.seed)
    assessed: dict[int, Assessment] = {}
    if batch is not None:
        assessed = dict(assess(batch, settings.temperature, n_anneals=settings.n_anneals, generator=generator))
    return assessed, {place: str(reason) for poses, reason in failed for place in poses.places}


def _scored(
    record: Record, structure: Structure, found: Assessment, calibration: tuple[float, ...], alpha: float
) -> Score:
    mismatches = mismatches_with(structure.mol, structure.declared)
    p_value = None
    if calibration:
        held_against = torch.tensor(calibration, dtype=torch.float64)
        p_value = float(conformal_p_value(torch.tensor(found.score, dtype=torch.float64), held_against))
    unlikely = p_value is not None and p_value <= alpha
    spread = [f"strain in many places: {found.kinds} kcal/mol"] if unlikely and not found.worst and found.kinds else []
    return Score(
        record.index,
        record.name,
        record.source,
        OK,
        energy=found.energy,
        score=found.score,
        p_value=p_value,
        flagged=unlikely or bool(mismatches),
        reasons=(*mismatches, *found.worst, *spread, *found.notes),
        elements=tuple(found.elements),
        atom_excess=tuple(found.atom_excess),
    )


def _records(mols: Iterable[Chem.Mol | None]) -> Iterator[Record]:
    for index, mol in enumerate(_frames(mols)):
        name = mol.GetProp("_Name") if mol is not None and mol.HasProp("_Name") else ""
        error = "it is None, as RDKit gives for what it cannot read; correct the input" if mol is None else None
        yield Record(index, name or f"mol-{index + 1}", f"molecule {index}", mol, error)


def _frames(mols: Iterable[Chem.Mol | None]) -> Iterator[Chem.Mol | None]:
    """Give a molecule with several conformers once for each of them."""
    for mol in mols:
        if mol is None or mol.GetNumConformers() < 2:
            yield mol
        else:
            yield from (Chem.Mol(mol, confId=conformer.GetId()) for conformer in mol.GetConformers())


def _require(holds: bool, what: str, value: object, allowed: str) -> None:
    if not holds:
        raise RequestError(f"{what} is {value}; it must be {allowed}")
