"""`molebm score`: how plausible given structures are, and what is wrong where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from molebm.cli.failures import FAILURE_COLUMNS, failures_path
from molebm.cli.options import (
    check_output,
    device_option,
    energy_option,
    force_option,
    model_option,
    quiet_option,
    resolve_device,
    resolve_threads,
    seed_option,
    threads_option,
)
from molebm.cli.progress import progress
from molebm.errors import RequestError

if TYPE_CHECKING:
    from molebm.plausibility.scoring import Score

ATOM_COLUMNS: Final = ("record", "name", "atom", "element", "excess_kcal_mol")
EXAMPLES: Final = """\b
Examples:
  molebm score poses.sdf -o scores.csv
  molebm score poses.sdf -o scores.csv --atoms atoms.csv --alpha 0.01
  molebm score poses.sdf -o scores.csv --template 'C[C@H](N)C(=O)O'
  molebm score conformers.sdf -o scores.csv --energy mmff94
"""


@click.command(epilog=EXAMPLES)
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Table of scores, .csv or .tsv.")
@click.option("--atoms", type=click.Path(path_type=Path), help="Also a table of the excess energy of each atom.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Share of plausible inputs to flag at most.")
@energy_option
@model_option
@click.option("--template", help="SMILES of what every structure is meant to be: declares stereo, bond orders of PDB.")
@click.option(
    "--anneals",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Search so often for a lower reference near each structure; gives no p-values.",
)
@seed_option
@device_option
@threads_option
@force_option
@quiet_option
def score(
    source: str,
    output: Path,
    atoms: Path | None,
    alpha: float,
    energy: str,
    model: Path | None,
    template: str | None,
    anneals: int,
    seed: int,
    device: str,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> int:
    """Score the structures in SOURCE (.sdf .mol .mol2 .pdb, perhaps .gz), one row for each record.

    \b
    record           position in the input, from 0
    name             title of the record
    status           ok, or why there is no score
    energy_kcal_mol  of the structure as it is
    score            energy above the structure relaxed, over 3/2 N kT at 300 K:
                     0 relaxed, about 1 thermal, more is less plausible
    p_value          chance that a plausible structure scores at least this
    flagged          p_value is at most alpha, or the stereo is not as declared
    reasons          what costs most, worst first; atoms count from 0

    A record's stereo is that of its coordinates, unless --template or its data field declared_smiles
    says what it is meant to be. Missing hydrogens are added and relaxed. What cannot be scored is
    listed again, with what to do, in a table that ends in .failures.csv beside the output.
    """
    import torch

    from molebm.chem.reading import read_molecules
    from molebm.chem.writing import csv_writer
    from molebm.conformers.outcomes import failure
    from molebm.parametrise import named_energy
    from molebm.plausibility.scoring import COLUMNS, ScoringSettings, score_records

    failures = failures_path(output)
    outputs = [path for path in (output, failures, atoms) if path is not None]
    if len(set(outputs)) < len(outputs):
        raise RequestError(f"'{atoms}' is named for two outputs; name another file with --atoms")
    for path in outputs:
        check_output(path, force=force)
    is_pdb = source.lower().removesuffix(".gz").endswith(".pdb")
    settings = ScoringSettings(
        alpha=alpha,
        n_anneals=anneals,
        seed=seed,
        declared=template,
        device=str(resolve_device(device)),
        threads=resolve_threads(threads),
    )
    records = read_molecules(source, template=template if is_pdb else None)
    named = named_energy(energy, model)
    torch.set_num_threads(1)  # the threads are shared out over batches

    n_scored = n_failed = n_flagged = 0
    with ExitStack() as stack:
        write_row = stack.enter_context(csv_writer(output, COLUMNS, force=force))
        write_atom = stack.enter_context(csv_writer(atoms, ATOM_COLUMNS, force=force)) if atoms else None
        advance = stack.enter_context(progress("scoring", unit="structure", quiet=quiet))
        for found in score_records(records, named, settings):
            write_row(found.row())
            if write_atom is not None:
                for row in atom_rows(found):
                    write_atom(row)
            if found.score is None:
                if not n_failed:
                    write_failure = stack.enter_context(csv_writer(failures, FAILURE_COLUMNS, force=force))
                reported = failure(found.name, found.source, found.status)
                write_failure({column: getattr(reported, column) for column in FAILURE_COLUMNS})
                n_failed += 1
            else:
                n_scored += 1
                n_flagged += bool(found.flagged)
            advance(1)
    if not n_failed:
        failures.unlink(missing_ok=True)  # of an earlier run
    if not quiet:
        click.echo(f"{n_scored} structures scored in '{output}', {n_flagged} of them flagged", err=True)
    if n_failed:
        click.echo(f"{n_failed} of {n_scored + n_failed} records failed; see '{failures}'", err=True)
    return 1 if n_failed else 0


def atom_rows(found: Score) -> Iterator[dict[str, float | str]]:
    """Give one row of `ATOM_COLUMNS` for each atom."""
    for atom, (element, excess) in enumerate(zip(found.elements, found.atom_excess, strict=True)):
        yield dict(zip(ATOM_COLUMNS, (found.record, found.name, atom, element, excess), strict=True))
