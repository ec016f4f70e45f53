"""Scores of a stream of records, a window at a time."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final

import torch

from molebm.chem.reading import Record
from molebm.chem.sanity import graph_faults
from molebm.chem.walking import atoms_of
from molebm.errors import GraphError, MoleculeError, TimeLimitError
from molebm.parametrise import NamedEnergy
from molebm.plausibility.batches import Poses, assemble, batches, runs_of_poses
from molebm.plausibility.calibration import Calibration
from molebm.plausibility.diagnosis import Diagnostician
from molebm.plausibility.findings import FAULTY, Finding
from molebm.plausibility.judging import Faults, Judgement, judge
from molebm.plausibility.measurement import measure
from molebm.plausibility.novelty import Novel, Novelty
from molebm.plausibility.scores import OK, Score
from molebm.plausibility.settings import ScoringSettings
from molebm.plausibility.stereo import mismatches_with
from molebm.plausibility.structures import Structure, admit
from molebm.plausibility.yardstick import Yardstick

TOO_SLOW: Final = "relaxing it took too long; leave it out, or leave the strain out"

MOST_BLAMED: Final = 2  # parts of a new molecule that are named


class Scorer:
    """What is the same for all records."""

    def __init__(
        self,
        energy: NamedEnergy,
        settings: ScoringSettings,
        calibration: Calibration,
        library: Novel | None = None,
        diagnostician: Diagnostician | None = None,
    ) -> None:
        self.energy, self.settings, self.calibration, self.library = energy, settings, calibration, library
        self.diagnostician = diagnostician
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
        judged_all = judge(batch, measurement, ordered, self.calibration, self.yardstick, self.diagnostician)
        return dict(judged_all), failed

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
        channels = dict(found.channels)
        novel = None if self.library is None else self.library.novelty(structure.given)
        if novel is not None:
            channels["novelty"] = (novel.score, novel.p_value)
            if novel.p_value <= self.settings.alpha:
                reasons = [*reasons, *(blame.words for blame in novel.blames[:MOST_BLAMED])]
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
            (*found.findings, *_findings(novel)),
            structure.mol,
            _blamed(novel, structure.mol.GetNumAtoms()),
            found.diagnosis,
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
            *_at_fault(record, faults),
            findings=tuple(faults.findings),
        )


def _findings(novel: Novelty | None) -> list[Finding]:
    if novel is None:
        return []
    told = (blame for blame in novel.blames if blame.energy > 0)
    return [Finding("novelty", "surroundings", b.atoms, b.energy, math.nan, math.nan, b.words) for b in told]


def _blamed(novel: Novelty | None, n_atoms: int) -> tuple[float, ...]:
    """Share the energy that makes a molecule new out to atoms, (N,) nats; nothing without a library."""
    if novel is None:
        return ()
    shares = [0.0] * n_atoms
    for blame in novel.blames:
        for atom in blame.atoms:
            shares[atom] += blame.energy / len(blame.atoms)
    return tuple(shares)


def _at_fault(record: Record, faults: Faults) -> tuple[tuple[str, ...], tuple[float, ...]]:
    """Elements and scores of the atoms of what no molecule is, if they could be read."""
    if record.mol is None:
        return (), ()
    at_fault = {atom for fault in faults.graph for atom in fault.atoms}
    atoms = atoms_of(record.mol)
    return tuple(a.GetSymbol() for a in atoms), tuple(FAULTY * (a.GetIdx() in at_fault) for a in atoms)


def _admit(record: Record, declared: str | None) -> Structure:
    if record.mol is None:
        raise MoleculeError(record.error or "the record cannot be read; write it again")
    return admit(record.mol, declared)


def _faults(structure: Structure) -> Faults:
    return Faults(mismatches_with(structure.mol, structure.declared), graph_faults(structure.given))
