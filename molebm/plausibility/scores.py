"""What is said of one record: its row, its channels, its worst terms and its atoms."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from rdkit import Chem

from molebm.plausibility.diagnosis import Diagnosis
from molebm.plausibility.findings import Finding
from molebm.plausibility.yardstick import CHANNELS

OK: Final = "ok"
ALL_CHANNELS: Final = (*CHANNELS, "stereo", "graph", "novelty")
COLUMNS: Final = (
    *("record", "name", "status", "energy_kcal_mol", "score", "p_value", "flagged", "reasons"),
    *(f"{channel}_{what}" for channel in ALL_CHANNELS for what in ("score", "p_value")),
    *("n_calibration", "smallest_p_value"),
    *("diagnosis", "diagnosis_probability", "diagnosis_p_value"),
)

Pair = tuple[float | None, float | None]


@dataclass(frozen=True, slots=True)
class Score:
    """What is said of one record; numbers are None, and `flagged` too, where there is no score."""

    record: int  # counts from 0
    name: str
    source: str
    status: str  # ok, or why there is no score and what to do
    energy: float | None = None  # kcal/mol
    score: float | None = None  # minus the common logarithm of the share of trusted structures that score as high
    p_value: float | None = None  # None where the energy has no calibration
    flagged: bool | None = None
    reasons: tuple[str, ...] = ()
    channels: dict[str, Pair] = field(default_factory=dict)  # score and p-value
    n_calibration: int | None = None
    elements: tuple[str, ...] = field(default=(), repr=False)  # (N,) hydrogens that were added last
    atom_scores: tuple[float, ...] = field(default=(), repr=False)  # (N,)
    findings: tuple[Finding, ...] = field(default=(), repr=False)  # worst first
    mol: Chem.Mol | None = field(default=None, repr=False)  # with the hydrogens that were added
    novelty_of_atoms: tuple[float, ...] = field(default=(), repr=False)  # (N,) nats, where there is a library
    diagnosis: Diagnosis | None = None  # None where none was asked for

    @property
    def smallest_p_value(self) -> float | None:
        """The least that a structure can get: one more than all structures of the calibration score less."""
        return None if self.n_calibration is None else 1 / (self.n_calibration + 1)

    def row(self) -> dict[str, float | str | None]:
        """Return the record as a row of `COLUMNS`."""
        told = (self.record, self.name, self.status, self.energy, self.score, self.p_value, self.flagged)
        channels = [number for channel in ALL_CHANNELS for number in self.channels.get(channel, (None, None))]
        last = (self.n_calibration, self.smallest_p_value, *(self.diagnosis or (None, None, None)))
        return dict(zip(COLUMNS, (*told, "; ".join(self.reasons), *channels, *last), strict=True))
