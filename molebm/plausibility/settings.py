"""What decides a score."""

from __future__ import annotations

from dataclasses import dataclass

from molebm.errors import RequestError
from molebm.plausibility.observations import KINDS
from molebm.plausibility.statistics import DRIFT, JOINT, JOINT_WITHOUT_STRAIN, STRAIN


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
        of_strain = (STRAIN, JOINT) if self.with_strain else (JOINT_WITHOUT_STRAIN,)
        return frozenset((*(kind.name for kind in KINDS), DRIFT, *of_strain))


def _require(holds: bool, what: str, value: object, allowed: str) -> None:
    if not holds:
        raise RequestError(f"{what} is {value}; it must be {allowed}")
