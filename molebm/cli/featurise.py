"""`molebm featurise`: features of molecules that models of the family learn from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from molebm.cli.failures import FAILURE_COLUMNS
from molebm.cli.log import count, tell, tell_failure
from molebm.cli.options import quiet_option
from molebm.cli.progress import progress
from molebm.errors import RequestError

EXAMPLES: Final = """\b
Examples:
  molebm featurise data/drugs.smi -o bits --features maccs
  molebm featurise data/drugs.smi -o wider --features morgan --setting n_bits=2048 --setting radius=3
"""


@click.command(epilog=EXAMPLES)
@click.argument("source", metavar="IN")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to fill.")
@click.option("--features", default="morgan", show_default=True, help="What to make of each molecule.")
@click.option("--setting", "settings", multiple=True, metavar="NAME=VALUE", help="Of the features, as n_bits=2048.")
@click.option("--label", help="Data field of the records of an SDF with the class of each, for classifiers.")
@quiet_option
def featurise(
    source: str, output: Path, features: str, settings: tuple[str, ...], label: str | None, quiet: bool
) -> int:
    """Describe the molecules in IN by numbers, for `molebm train` to learn an energy of them.

    Writes shards of tensors, split by scaffold, to the output folder and, at the end, a manifest with checksums.
    Molecules that failed are listed there and in failures.csv.
    """
    from molebm.chem.reading import read_molecules
    from molebm.chem.writing import csv_writer
    from molebm.conformers.outcomes import failure
    from molebm.preparation.featurise import FeatureSettings
    from molebm.preparation.featurise import featurise as featurise_records

    asked = FeatureSettings(features, dict(_setting(given) for given in settings), label)
    n_done = 0
    failed = []
    with progress("featurising", unit="molecule", quiet=quiet) as advance:
        for shard in featurise_records(read_molecules(source), output, asked):
            failed += shard.failed
            n_done += shard.n_molecules
            advance(shard.n_molecules + len(shard.failed))
    if failed:
        columns = FAILURE_COLUMNS[1:]  # the shards do not keep which record it was
        with csv_writer(output / "failures.csv", columns, force=True) as write:
            for entry in failed:
                told = failure(entry.name, entry.source, entry.reason)
                write({column: getattr(told, column) for column in columns})
                tell_failure(told.name, told.input, told.reason, told.cure)
    count(molecules=n_done, failed=len(failed))
    tell(f"{n_done} of {n_done + len(failed)} molecules featurised in '{output}'")
    return 1 if failed else 0


def _setting(given: str) -> tuple[str, Any]:
    name, equals, value = given.partition("=")
    if not equals:
        raise RequestError(f"--setting {given}: give a name and a value, as n_bits=2048")
    try:
        return name.strip(), json.loads(value)
    except json.JSONDecodeError:
        return name.strip(), value.strip()
