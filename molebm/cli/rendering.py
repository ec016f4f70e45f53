"""What is written of a record, made in the process that computed it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from molebm.chem.ensemble_text import EnsembleText
from molebm.cli.failures import FAILURE_COLUMNS
from molebm.conformers.outcomes import Ensemble, Failure, Outcomes


class Written(NamedTuple):
    """What is added to the files of a run for one record."""

    text: str  # of the output
    failures: list[list[str]]  # in the order of FAILURE_COLUMNS, without the record
    counts: Mapping[str, int]  # what is told at the end of a run
    tables: Sequence[str] = ()  # what is added to each further file


def written(ensemble_text: EnsembleText, outcomes: Outcomes) -> Written:
    """Turn the outcomes of one record into what is written of them."""
    found = [outcome for outcome in outcomes if isinstance(outcome, Ensemble)]
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    return Written(
        "".join(ensemble_text(one.mol, one.name) for one in found),
        [[getattr(one, column) for column in FAILURE_COLUMNS[1:]] for one in failed],
        {"done": len(found), "conformers": sum(one.mol.GetNumConformers() for one in found)},
    )
