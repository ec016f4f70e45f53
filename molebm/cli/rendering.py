"""What is written of a record, made in the process that computed it."""

from __future__ import annotations

from typing import NamedTuple

from molebm.chem.ensemble_text import EnsembleText
from molebm.cli.failures import FAILURE_COLUMNS
from molebm.conformers.outcomes import Ensemble, Failure, Outcomes


class Written(NamedTuple):
    """The text of the ensembles of one record, and the rows of its failures."""

    structures: str
    failures: list[list[str]]  # in the order of FAILURE_COLUMNS
    n_done: int  # ensembles
    n_conformers: int


def written(ensemble_text: EnsembleText, outcomes: Outcomes) -> Written:
    """Turn the outcomes of one record into what is written of them."""
    found = [outcome for outcome in outcomes if isinstance(outcome, Ensemble)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    return Written(
        "".join(ensemble_text(one.mol, one.name) for one in found),
        [[getattr(one, column) for column in FAILURE_COLUMNS] for one in failed],
        len(found),
        sum(one.mol.GetNumConformers() for one in found),
    )
