"""What is asked of a repair, and what becomes of each record."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from rdkit import Chem

from molebm.errors import RequestError
from molebm.plausibility.mending import Environment
from molebm.plausibility.scoring import Score, ScoringSettings

Stereo = Literal["refuse", "rebuild"]
Kind = Literal["sound", "relaxed", "repaired", "improved", "not repaired", "failed"]

COLUMNS: Final = (
    "record",
    "name",
    "status",
    "p_before",
    "p_after",
    "score_before",
    "score_after",
    "energy_before",
    "energy_after",
    "rmsd",
    "reasons_before",
    "reasons_after",
)


@dataclass(frozen=True, slots=True)
class RepairSettings:
    """What is repaired, and how.

    Raises
    ------
    RequestError
        If a value is not allowed.
    """

    scoring: ScoringSettings = field(default_factory=ScoringSettings)
    relax_all: bool = False  # those that are not flagged too, on tethers
    stereo: Stereo = "refuse"  # what is not as declared: left as it is, or built again as declared
    environment: Environment = "bound"  # surroundings, which damp electrostatics and attraction, or none
    time_limit: float = 60.0  # s for each step of a repair

    def __post_init__(self) -> None:
        for name, kind in (("stereo", Stereo), ("environment", Environment)):
            if getattr(self, name) not in get_args(kind):
                raise RequestError(f"{name} is {getattr(self, name)!r}; it must be {' or '.join(get_args(kind))}")
        if not self.time_limit > 0:
            raise RequestError(f"the time limit is {self.time_limit}; it must be above 0 s")


@dataclass(frozen=True, slots=True)
class Repaired:
    """What became of one record; numbers are those of `mol`, and of what was given."""

    record: int  # counts from 0
    name: str
    source: str
    kind: Kind
    why: str  # it was not repaired, or failed; else empty
    mol: Chem.Mol | None  # hydrogens explicit if it was changed, else as it was given; None if nothing was read
    before: Score
    after: Score
    rmsd: float | None  # Å of the heavy atoms in the best superposition; None where there is no score

    @property
    def status(self) -> str:
        """The kind and, if there is one, the reason."""
        return f"{self.kind}: {self.why}" if self.why else self.kind

    def row(self) -> dict[str, float | str | None]:
        """Return the record as a row of `COLUMNS`."""
        was, now = self.before, self.after
        numbers = (was.p_value, now.p_value, was.score, now.score, was.energy, now.energy, self.rmsd)
        words = ("; ".join(was.reasons), "; ".join(now.reasons))
        return dict(zip(COLUMNS, (self.record, self.name, self.status, *numbers, *words), strict=True))
