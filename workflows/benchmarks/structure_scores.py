"""What molebm says of structures, for benchmarks: the one place that calls it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.calibration import Calibration
from molebm.plausibility.scores import OK, Score
from molebm.plausibility.scoring import ScoringSettings, score_records


class StructureScore(NamedTuple):
    """NaN where there is no number."""

    status: str
    score: float  # higher is less plausible
    p_value: float
    flagged: bool
    atoms: NDArray[np.float64]  # (N,) share of each atom in the score

    @property
    def scored(self) -> bool:
        return self.status == OK


def score_structures(
    mols: Iterable[Chem.Mol],
    calibration: Calibration | None = None,
    *,
    energy: NamedEnergy | None = None,
    settings: ScoringSettings | None = None,
) -> list[StructureScore]:
    """Score structures with the learned energy as users do, one after the other."""
    records = (Record(index, f"mol-{index}", "benchmark", mol, None) for index, mol in enumerate(mols))
    scored = score_records(records, energy or named_energy(LEARNED, None), settings or ScoringSettings(), calibration)
    return [_structure_score(found) for found in scored]


def _structure_score(found: Score) -> StructureScore:
    score = np.nan if found.score is None else found.score
    p_value = np.nan if found.p_value is None else found.p_value
    return StructureScore(found.status, score, p_value, bool(found.flagged), np.array(found.atom_scores))
