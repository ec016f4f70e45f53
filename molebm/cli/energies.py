"""`molebm energies`: what a model of the family says of molecules."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Final

import click

from molebm.cli.failures import FAILURE_COLUMNS, failure_row, failures_path
from molebm.cli.log import count, tell, tell_failure
from molebm.cli.options import check_output, device_option, force_option, quiet_option, resolve_device
from molebm.cli.progress import progress

EXAMPLES: Final = """\b
Examples:
  molebm energies new.smi --model runs/library/model.safetensors -o energies.csv
"""


@click.command(epilog=EXAMPLES)
@click.argument("source", metavar="IN")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Table, .csv or .tsv.")
@click.option("--model", type=click.Path(path_type=Path), required=True, help="Checkpoint that `molebm train` wrote.")
@device_option
@force_option
@quiet_option
def energies(source: str, output: Path, model: Path, device: str, force: bool, quiet: bool) -> int:
    """Give the energy of each record in IN by a trained MODEL of any kind, one row for each.

    \b
    record    position in the input, from 0
    name      title of the record
    status    ok, or why there is no energy and what to do
    energy    of the record, the lower the more like what the model has learned
    p_value   chance that a molecule like those learned from is as high

    and, of a classifier, the probability of each class. What has no energy is listed again, with what to do, in a
    table that ends in .failures.csv beside the output.
    """
    from molebm.chem.reading import read_molecules
    from molebm.chem.writing import csv_writer
    from molebm.conformers.outcomes import failure
    from molebm.family.checkpoint import load_trained
    from molebm.plausibility.energies import classes_of
    from molebm.plausibility.energies import energies as energies_of

    failures = failures_path(output)
    for path in (output, failures):
        check_output(path, force=force)
    trained = load_trained(model)
    classes = [f"p_{name}" for name in classes_of(trained)]
    n_done = n_failed = 0
    with ExitStack() as stack:
        columns = ("record", "name", "status", "energy", "p_value", *classes)
        write_row = stack.enter_context(csv_writer(output, columns, force=force))
        advance = stack.enter_context(progress("reading energies", unit="record", quiet=quiet))
        for found in energies_of(read_molecules(source), trained, str(resolve_device(device))):
            told = (found.record, found.name, found.status, found.energy, found.p_value)
            shares = found.probabilities or (None,) * len(classes)
            write_row(dict(zip(columns, (*told, *shares), strict=True)))
            if found.energy is None:
                if not n_failed:
                    write_failure = stack.enter_context(csv_writer(failures, FAILURE_COLUMNS, force=force))
                reported = failure(found.name, found.source, found.status)
                write_failure(failure_row(found.record, reported))
                tell_failure(reported.name, reported.input, reported.reason, reported.cure)
                n_failed += 1
            else:
                n_done += 1
            advance(1)
    if not n_failed and force:
        failures.unlink(missing_ok=True)
    count(energies=n_done, failed=n_failed)
    tell(f"{n_done} energies in '{output}'", quiet=quiet)
    if n_failed:
        tell(f"{n_failed} of {n_done + n_failed} records failed; see '{failures}'")
    return 1 if n_failed else 0
