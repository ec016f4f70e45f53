"""From what a batch of structures is measured to be to what is said of each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np

from molebm.errors import Fault
from molebm.plausibility.batches import Batch
from molebm.plausibility.calibration import Calibration
from molebm.plausibility.defect_features import defect_features
from molebm.plausibility.diagnosis import Diagnosis, Diagnostician
from molebm.plausibility.findings import (
    FAULTY,
    WORTH_TELLING,
    Finding,
    atom_scores,
    bearers,
    findings,
    once_a_bond,
    term_scores,
)
from molebm.plausibility.measurement import Measurement
from molebm.plausibility.numbers import numbers_of
from molebm.plausibility.ring_words import told_by_ring
from molebm.plausibility.scores import Pair
from molebm.plausibility.statistics import DRIFT, STRAIN, standardised
from molebm.plausibility.yardstick import WEIGHTS_OF_PLACES, Yardstick

MOST_REASONS: Final = 6


class Judgement(NamedTuple):
    """What is said of one structure."""

    energy: float  # kcal/mol
    score: float
    p_value: float
    channels: dict[str, Pair]
    reasons: list[str]
    findings: list[Finding]
    atom_scores: list[float]
    diagnosis: Diagnosis | None


class Faults(NamedTuple):
    """What is wrong with one structure whatever its energy: declared stereo, and the graph."""

    stereo: list[Fault]
    graph: list[Fault]

    def channels(self, n_trusted: int) -> dict[str, Pair]:
        """Count them; of n trusted structures none has any."""
        return {
            "stereo": (float(len(self.stereo)), 1 / (n_trusted + 1) if self.stereo else 1.0),
            "graph": (float(len(self.graph)), 1 / (n_trusted + 1) if self.graph else 1.0),
        }

    @property
    def words(self) -> list[str]:
        return [fault.words for fault in (*self.stereo, *self.graph)]

    @property
    def findings(self) -> list[Finding]:
        return [
            Finding(channel, channel, fault.atoms, FAULTY, np.nan, np.nan, fault.words)
            for channel, listed in (("stereo", self.stereo), ("graph", self.graph))
            for fault in listed
        ]


def judge(
    batch: Batch,
    measurement: Measurement,
    faults: Sequence[Faults],
    calibration: Calibration,
    yardstick: Yardstick,
    diagnostician: Diagnostician | None = None,
) -> Iterator[tuple[int, Judgement]]:
    """Judge every structure of a batch, each with the place it came in; faults are in the order of the places."""
    terms = standardised(measurement, calibration.norms)
    shape = measurement.energy.shape
    sizes = batch.topology.atoms_per_molecule().tolist()
    starts = np.cumsum([0, *sizes])
    numbers = numbers_of(measurement, terms, yardstick.joint)
    counts = np.array([len(each.stereo) + len(each.graph) for each in faults], dtype=float)
    verdict = yardstick.judge(numbers, np.repeat(measurement.heavy_atoms.numpy(), shape[1]), counts)

    symbols = [atom.GetSymbol() for poses in batch.molecules for atom in poses.structures[0].mol.GetAtoms()]
    rings = [poses.structures[0].mol.GetRingInfo().AtomRings() for poses in batch.molecules]
    scored = term_scores(terms, yardstick.score_of_term)
    found = findings(terms, scored, WEIGHTS_OF_PLACES, starts.tolist(), symbols)
    per_atom = atom_scores(terms, scored, WEIGHTS_OF_PLACES, bearers(batch.topology.to("cpu")))
    diagnoses: list[Diagnosis] = []
    if diagnostician is not None:
        diagnoses = diagnostician.diagnose(defect_features(batch, terms, [each.stereo for each in faults]))
    row = 0
    for g, poses in enumerate(batch.molecules):
        for c, place in enumerate(poses.places):
            listed = [*faults[row].findings, *found.get((g, c), [])]
            of_atoms = per_atom[starts[g] : starts[g + 1], c].clone()
            of_atoms[[atom for fault in faults[row].findings for atom in fault.atoms]] = FAULTY
            own = slice(starts[g], starts[g + 1])
            worth = [finding for finding in listed if finding.score >= WORTH_TELLING]
            told = told_by_ring(once_a_bond(worth), rings[g], symbols[own])
            reasons = [finding.words for finding in told[:MOST_REASONS]]
            if numbers[DRIFT][row] > yardstick.usual(DRIFT):
                reasons.append("bonds are off one way throughout: all too long, or all too short")
            strain = numbers.get(STRAIN)
            if strain is not None and strain[row] > yardstick.usual(STRAIN):
                usual = yardstick.usual(STRAIN)
                reasons.append(f"strain {strain[row]:.1f} kcal/mol, usually at most {usual:.1f}")
            yield (
                place,
                Judgement(
                    float(measurement.energy[g, c]),
                    float(verdict.score[row]),
                    float(verdict.p_value[row]),
                    {name: (float(s[row]), float(p[row])) for name, (s, p) in verdict.channels.items()}
                    | faults[row].channels(yardstick.source.n),
                    reasons,
                    listed,
                    of_atoms.tolist(),
                    diagnoses[row] if diagnoses else None,
                ),
            )
            row += 1
