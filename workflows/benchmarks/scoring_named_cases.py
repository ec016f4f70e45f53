"""What scores say of structures whose file names say what they are, such as those of the tests of PoseBusters.

    python workflows/benchmarks/scoring_named_cases.py FOLDER/*.sdf

The calibration is the one that ships, beside crystals, as `molebm score` has it unless told otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
import numpy as np
from conformer_measures import table
from plausibility_peers import posebusters_failures
from rdkit import rdBase

from molebm.chem.reading import read_molecules
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.scores import Score
from molebm.plausibility.scoring import ScoringSettings, score_records

LONGEST: Final = 110  # characters of what is said
HEADERS: Final = ("file", "records", "PoseBusters: fail", "molebm: flagged", "median score", "said first of the worst")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(files: Sequence[Path]) -> None:
    """Print a table in Markdown with one row for each of FILES."""
    energy = named_energy(LEARNED)
    click.echo(table(HEADERS, [_row(path, energy) for path in files]))


def _row(path: Path, energy: NamedEnergy) -> list[str]:
    records = list(read_molecules(path))
    found = list(score_records(records, energy, ScoringSettings()))
    with rdBase.BlockLogs():
        failures = [np.inf if record.mol is None else posebusters_failures(record.mol) for record in records]
    scores = [one.score for one in found if one.score is not None]
    worst = max(found, key=lambda one: -np.inf if one.score is None else one.score)
    return [
        path.stem,
        str(len(records)),
        str(sum(failed > 0 for failed in failures)),
        str(sum(bool(one.flagged) for one in found)) if scores else "not scored",
        f"{np.median(scores):.2f}" if scores else "-",
        _said(worst),
    ]


def _said(found: Score) -> str:
    """Give the first reason, or why there is no score, cut and fit for a table."""
    said = found.status if found.score is None else found.reasons[0] if found.reasons else ""
    return (said if len(said) <= LONGEST else f"{said[:LONGEST]}…").replace("|", "/")


if __name__ == "__main__":
    main()
