"""What scores say of structures whose file names say what they are, such as those of the tests of PoseBusters.

    python workflows/benchmarks/scoring_named_cases.py FOLDER/*.sdf

'crystal' in a name is scored beside crystals, 'ideal' beside minimised structures, and all others beside docked ones.
The calibration is the one that ships.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
from conformer_measures import table
from plausibility_peers import posebusters_failures
from rdkit import rdBase

from molebm.chem.reading import read_molecules
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.scoring import ScoringSettings, score_records

SOURCES: Final = {"crystal": "crystal", "ideal": "minimised"}
OTHERS: Final = "docked"
LONGEST: Final = 110  # characters of what is said
HEADERS: Final = ("file", "beside", "PoseBusters: tests failed", "score", "p", "flagged", "said first")


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
def main(files: Sequence[Path]) -> None:
    """Print a table in Markdown with one row for each record of FILES."""
    energy = named_energy(LEARNED)
    click.echo(table(HEADERS, [row for path in files for row in _rows(path, energy)]))


def _rows(path: Path, energy: NamedEnergy) -> Iterator[list[str]]:
    source = next((source for word, source in SOURCES.items() if word in path.stem), OTHERS)
    records = list(read_molecules(path))
    for record, found in zip(records, score_records(records, energy, ScoringSettings(source=source)), strict=True):
        failed = "unreadable"
        if record.mol is not None:
            with rdBase.BlockLogs():
                failures = posebusters_failures(record.mol)
            failed = "unreadable" if math.isinf(failures) else f"{failures:.0f}"
        said = found.reasons[0] if found.reasons else "" if found.score is not None else found.status
        said = said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
        numbers = [
            "-" if found.score is None else f"{found.score:.2f}",
            "-" if found.p_value is None else f"{found.p_value:.3f}",
        ]
        flagged = {True: "yes", False: "no", None: "-"}[found.flagged]
        yield [path.stem, source, failed, *numbers, flagged, said.replace("|", "¦")]


if __name__ == "__main__":
    main()
