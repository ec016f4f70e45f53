"""Structures in, one score for each out, in their order, with what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.chem.sanity import graph_faults
from molebm.errors import GraphError, MoleculeError, RequestError, TimeLimitError
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.batches import Poses, assemble, batches, runs_of_poses
from molebm.plausibility.calibration import Calibration, Yardstick, load_calibration
from molebm.plausibility.discoveries import flag_discoveries
from molebm.plausibility.judging import Faults, Judgement, judge
from molebm.plausibility.measurement import measure
from molebm.plausibility.scores import COLUMNS, OK, Score
from molebm.plausibility.statistics import SPREAD, STATISTICS, STRAIN
from molebm.plausibility.stereo import mismatches_with
from molebm.plausibility.structures import Structure, admit

TOO_SLOW = "relaxing it took too long; leave it out, or leave the strain out"


@dataclass(frozen=True, slots=True)
class ScoringSettings:
    """What decides a score, and how the work is shared out, which does not.

    Raises
    ------
    RequestError
        If a number is out of its range.
    """

    alpha: float = 0.05  # share of plausible structures that may be flagged
    source: str = "crystal"  # what plausible structures come from; see `Calibration.sources`
    with_strain: bool = True
    seed: int = 0  # of the search for what a strained structure is held against
    declared: str | None = None  # SMILES of what every structure is meant to be
    device: str = "cpu"
    threads: int = 1
    batch_size: int = 128  # records read before the first is scored

    def __post_init__(self) -> None:
        _require(0 < self.alpha < 1, "alpha", self.alpha, "above 0 and below 1")
        _require(0 <= self.seed < 2**63, "the seed", self.seed, "0 or more, and below 2^63")
        _require(self.threads >= 1, "the number of threads", self.threads, "at least 1")
        _require(self.batch_size >= 1, "the batch size", self.batch_size, "at least 1")

    @property
    def measured(self) -> frozenset[str]:
        """The statistics that these settings measure."""
        return frozenset((*STATISTICS, SPREAD, *([STRAIN] if self.with_strain else [])))


def score(
    mols: Iterable[Chem.Mol | None],
    *,
    energy: str | NamedEnergy = LEARNED,
    model: str | Path | None = None,
    calibration: Calibration | None = None,
    settings: ScoringSettings | None = None,
    fdr: float | None = None,
) -> pd.DataFrame:
    """Score how plausible molecules are as they stand in space, one row for each conformer, in their order.

    The p-value is the chance that a plausible structure scores so high, and a row is flagged where it is at most
    `settings.alpha`, or where the stereo is not as the tags of the molecule, or its property ``declared_smiles``,
    declare, or the graph is none that a molecule has.

    Parameters
    ----------
    mols
        In three dimensions, one row for each conformer; what cannot be scored says so in its `status`. Hydrogens
        that are missing are added and relaxed.
    energy
        ``learned``, ``mmff94`` or ``mmff94s``; there are p-values for the energy of the calibration alone.
    model
        Checkpoint of the learned energy; the shipped one where it is None.
    calibration
        What trusted structures score, as `load_calibration` and `calibrate` give; the shipped one where it is None.
    fdr
        Flag by the procedure of Benjamini and Hochberg over all rows, at this rate of false discoveries, in
        place of `settings.alpha`.

    Returns
    -------
    The columns `COLUMNS`: first record, name, status, energy_kcal_mol, score, p_value, flagged and reasons, then a
    score and a p-value for each channel. Atoms count from 0 in the reasons; hydrogens that were added follow the
    atoms given.

    Raises
    ------
    RequestError, CheckpointError
        As `named_energy` and `Calibration.yardstick`.
    """
    named = named_energy(energy, model) if isinstance(energy, str) else energy
    scores = score_records(_records(mols), named, settings or ScoringSettings(), calibration)
    table = pd.DataFrame([found.row() for found in scores], columns=list(COLUMNS))
    numbers = [column for column in COLUMNS if column not in ("record", "name", "status", "flagged", "reasons")]
    table = table.astype({**dict.fromkeys(numbers, "float64"), "record": "int64", "flagged": "boolean"})
    return table if fdr is None else flag_discoveries(table, fdr)


def score_records(
    records: Iterable[Record], energy: NamedEnergy, settings: ScoringSettings, calibration: Calibration | None = None
) -> Iterator[Score]:
    """Stream one score for each record, in their order; memory does not grow with their number."""
    scorer = _Scorer(energy, settings, calibration or load_calibration())
    return scorer.stream(iter(records))


class _Scorer:
    """What is the same for all records."""

    def __init__(self, energy: NamedEnergy, settings: ScoringSettings, calibration: Calibration) -> None:
        self.energy, self.settings, self.calibration = energy, settings, calibration
        self.yardstick: Yardstick = calibration.yardstick(settings.source, settings.measured)
        self.has_p_values = energy.name == calibration.energy

    def stream(self, remaining: Iterator[Record]) -> Iterator[Score]:
        with ThreadPoolExecutor(self.settings.threads) as pool:
            while window := list(islice(remaining, self.settings.batch_size)):
                yield from self._window(window, pool)

    def _window(self, window: list[Record], pool: Executor) -> Iterator[Score]:
        admitted: dict[int, Structure] = {}
        faults: dict[int, Faults] = {}
        failed: dict[int, MoleculeError] = {}
        for place, record in enumerate(window):
            try:
                structure = _admit(record, self.settings.declared)
                faults[place] = _faults(structure)
                admitted[place] = structure
            except MoleculeError as error:
                failed[place] = error
        judged: dict[int, Judgement] = {}
        work = partial(self._batch, faults=faults)
        for found, without in pool.map(work, batches(runs_of_poses(admitted.items()))):
            judged |= found
            failed |= without
        for place, record in enumerate(window):
            if place in judged:
                yield self._scored(record, admitted[place], judged[place])
            else:
                yield self._unscored(record, failed[place])

    def _batch(
        self, molecules: list[Poses], *, faults: dict[int, Faults]
    ) -> tuple[dict[int, Judgement], dict[int, MoleculeError]]:
        batch, unknown = assemble(molecules, self.energy.parametrise, torch.device(self.settings.device))
        failed: dict[int, MoleculeError] = {place: reason for poses, reason in unknown for place in poses.places}
        if batch is None:
            return {}, failed
        try:
            measurement = measure(batch, with_strain=self.settings.with_strain, seed=self.settings.seed)
        except TimeLimitError:
            if len(batch.molecules) == 1:
                late = MoleculeError(TOO_SLOW)
                return {}, failed | dict.fromkeys(batch.molecules[0].places, late)
            judged: dict[int, Judgement] = {}
            for poses in batch.molecules:
                found, without = self._batch([poses], faults=faults)
                judged |= found
                failed |= without
            return judged, failed
        ordered = [faults[place] for poses in batch.molecules for place in poses.places]
        return dict(judge(batch, measurement, ordered, self.calibration, self.yardstick)), failed

    def _scored(self, record: Record, structure: Structure, found: Judgement) -> Score:
        p_value = found.p_value if self.has_p_values else None
        faulty = any((found.channels[channel][0] or 0) > 0 for channel in ("stereo", "graph"))
        flagged = faulty or (p_value is not None and p_value <= self.settings.alpha)
        reasons = found.reasons
        if flagged and not reasons:
            reasons = [finding.words for finding in found.findings[:2]]
        if structure.n_added:
            plural = "s" if structure.n_added > 1 else ""
            reasons = [*reasons, f"{structure.n_added} missing hydrogen{plural} added and relaxed"]
        channels = found.channels
        if not self.has_p_values:
            channels = {name: (value, None) for name, (value, _) in channels.items()}
        return Score(
            record.index,
            record.name,
            record.source,
            OK,
            found.energy,
            found.score,
            p_value,
            flagged,
            tuple(reasons),
            channels,
            self.yardstick.source.n if self.has_p_values else None,
            tuple(atom.GetSymbol() for atom in structure.mol.GetAtoms()),
            tuple(found.atom_scores),
            tuple(found.findings),
            structure.mol,
        )

    def _unscored(self, record: Record, error: MoleculeError) -> Score:
        """Flag what no molecule is, and say of anything else why there is no score."""
        listed = record.faults or (error.faults if isinstance(error, GraphError) else ())
        if not listed:
            return Score(record.index, record.name, record.source, str(error))
        n = self.yardstick.source.n
        faults = Faults([], list(listed))
        p_value = 1 / (n + 1) if self.has_p_values else None
        return Score(
            record.index,
            record.name,
            record.source,
            OK,
            None,
            self.yardstick.score_of_faults(len(listed)),
            p_value,
            True,
            tuple(faults.words),
            {"graph": (float(len(listed)), p_value)},
            n if self.has_p_values else None,
            findings=tuple(faults.findings),
        )


def _admit(record: Record, declared: str | None) -> Structure:
    if record.mol is None:
        raise MoleculeError(record.error or "the record cannot be read; write it again")
    return admit(record.mol, declared)


def _faults(structure: Structure) -> Faults:
    return Faults(mismatches_with(structure.mol, structure.declared), graph_faults(structure.given))


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
