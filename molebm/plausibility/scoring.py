"""Structures in, one score for each out, in their order, with what is wrong and where."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pandas as pd
from rdkit import Chem

from molebm.chem.reading import Record
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.calibration import Calibration, load_calibration
from molebm.plausibility.diagnosis import Diagnostician
from molebm.plausibility.discoveries import flag_discoveries
from molebm.plausibility.novelty import Novel
from molebm.plausibility.scores import COLUMNS, Score
from molebm.plausibility.settings import ScoringSettings
from molebm.plausibility.streaming import Scorer
from molebm.plausibility.structures import records_of


def score(
    mols: Iterable[Chem.Mol | None],
    *,
    energy: str | NamedEnergy = LEARNED,
    model: str | Path | None = None,
    calibration: Calibration | None = None,
    settings: ScoringSettings | None = None,
    fdr: float | None = None,
    library: Novel | None = None,
    diagnostician: Diagnostician | None = None,
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
    library
        What novelty is held against, a `Library` or `TrainedLibrary`; it flags nothing.
    diagnostician
        Adds the most probable kind of defect, as `load_diagnostician` gives it; it flags nothing.

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
    scores = score_records(records_of(mols), named, settings or ScoringSettings(), calibration, library, diagnostician)
    table = pd.DataFrame([found.row() for found in scores], columns=list(COLUMNS))
    words = ("record", "name", "status", "flagged", "reasons", "diagnosis")
    numbers = [column for column in COLUMNS if column not in words]
    table = table.astype({**dict.fromkeys(numbers, "float64"), "record": "int64", "flagged": "boolean"})
    return table if fdr is None else flag_discoveries(table, fdr)


def score_records(
    records: Iterable[Record],
    energy: NamedEnergy,
    settings: ScoringSettings,
    calibration: Calibration | None = None,
    library: Novel | None = None,
    diagnostician: Diagnostician | None = None,
) -> Iterator[Score]:
    """Stream one score for each record, in their order; memory does not grow with their number."""
    scorer = Scorer(energy, settings, calibration or load_calibration(), library, diagnostician)
    return scorer.stream(iter(records))
