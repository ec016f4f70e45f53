"""`molebm score`: how plausible given structures are, and what is wrong where."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from molebm.cli.failures import FAILURE_COLUMNS, failure_row, failures_path
from molebm.cli.log import count, tell, tell_failure
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
    from molebm.chem.reading import Record

EXAMPLES: Final = """\b
Examples:
  molebm score poses.sdf -o scores.csv
  molebm score poses.sdf -o scores.csv --report report.html --atoms atoms.csv
  molebm score generated.sdf -o scores.csv --source generated --fdr 0.05
  molebm score ligand.pdb -o scores.csv --template 'C[C@H](N)C(=O)O'
  molebm score run.xtc -o scores.csv --topology system.pdb --select 'resname LIG' --template 'CCO' --plot scores.png
"""


@click.command(epilog=EXAMPLES)
@click.argument("input", metavar="IN")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Table: .csv .tsv .parquet.")
@click.option("--atoms", type=click.Path(path_type=Path), help="Also a table of the score of each atom.")
@click.option("--terms", type=click.Path(path_type=Path), help="Also a table of the terms that are not as expected.")
@click.option("--report", type=click.Path(path_type=Path), help="Also a page of HTML that needs no network.")
@click.option("--plot", type=click.Path(path_type=Path), help="Also the scores in their order: .png .svg .pdf.")
@click.option(
    "--source",
    default=None,
    help="Where plausible structures like these come from: crystal, docked, minimised, md or generated, or one "
    "of the calibration's.  [default: crystal; md for trajectories]",
)
@click.option("--calibration", type=click.Path(path_type=Path), help="What `molebm calibrate` wrote.")
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Share of plausible inputs to flag at most.")
@click.option("--fdr", type=float, help="Flag by Benjamini and Hochberg at this rate of false discoveries instead.")
@click.option("--strain/--no-strain", default=True, show_default=True, help="Search for a lower shape near by.")
@click.option("--template", help="SMILES of what every structure is meant to be: declares stereo, bond orders of PDB.")
@click.option("--library", help="Known molecules, or a model trained on them: how new each graph is.")
@click.option("--diagnose", is_flag=True, help="Name the most probable kind of defect of each structure.")
@click.option("--diagnosis", type=click.Path(path_type=Path), help="A diagnosis of your own, from `molebm train`.")
@click.option("--topology", type=click.Path(path_type=Path), help="Of a trajectory: a PDB or SDF file of its atoms.")
@click.option("--select", help="Of a trajectory: the atoms to score, in MDTraj's language.")
@click.option("--stride", type=click.IntRange(min=1), default=1, show_default=True, help="Of a trajectory.")
@energy_option
@model_option
@seed_option
@device_option
@threads_option
@force_option
@quiet_option
def score(
    input: str,
    output: Path,
    atoms: Path | None,
    terms: Path | None,
    report: Path | None,
    plot: Path | None,
    source: str | None,
    calibration: Path | None,
    alpha: float,
    fdr: float | None,
    strain: bool,
    template: str | None,
    library: str | None,
    diagnose: bool,
    diagnosis: Path | None,
    topology: Path | None,
    select: str | None,
    stride: int,
    energy: str,
    model: Path | None,
    seed: int,
    device: str,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> int:
    """Score the structures in IN, one row for each record.

    IN is .sdf .mol .mol2 or .pdb, perhaps .gz, or with --topology any trajectory that MDTraj reads.

    \b
    record           position in the input, from 0
    name             title of the record
    status           ok, or why there is no score and what to do
    energy_kcal_mol  of the structure as it is
    score            minus the logarithm to base 10 of the share of trusted
                     structures that score as high, extrapolated beyond them
    p_value          chance that a plausible structure scores at least this
    flagged          p_value is at most alpha, or the stereo is not as
                     declared, or no molecule has such a graph
    reasons          what is not as expected, worst first; atoms count from 0

    and then a score and a p-value for each channel: geometry, torsions, contacts, strain, hydrogens, stereo,
    graph and, with --library, novelty; with --diagnose, the most probable kind of defect, its probability, and a
    p-value that is small where the structure is like none of the kinds known. A record's stereo is that of its
    coordinates, unless --template or its data field declared_smiles says what it is meant to be. Missing hydrogens
    are added and relaxed. What cannot be scored is listed again, with what to do, in a table that ends in
    .failures.csv beside the output.
    """
    import torch

    from molebm.chem.writing import csv_writer, replacing
    from molebm.cli.parquet import check_parquet, is_in_parquet, table_writer
    from molebm.cli.score_output import ATOM_COLUMNS, TERM_COLUMNS, atom_rows, flag_again, term_rows, unflagged
    from molebm.cli.score_plot import ScorePlot, check_plot
    from molebm.conformers.outcomes import failure
    from molebm.parametrise import named_energy
    from molebm.plausibility.calibration import load_calibration
    from molebm.plausibility.diagnosis import load_diagnostician
    from molebm.plausibility.report import ReportCollector
    from molebm.plausibility.scores import COLUMNS
    from molebm.plausibility.scoring import ScoringSettings, score_records
    from molebm.plausibility.trained_library import read_library

    failures = failures_path(output)
    outputs = [path for path in (output, failures, atoms, terms, report, plot) if path is not None]
    for path in outputs:
        if outputs.count(path) > 1:
            raise RequestError(f"'{path}' is named for two outputs; name another file for one of them")
        check_output(path, force=force)
        if is_in_parquet(path):
            check_parquet()
    if plot is not None:
        check_plot(plot)
    if fdr is not None and not 0 < fdr < 1:
        raise RequestError(f"the rate of false discoveries is {fdr}; it must be above 0 and below 1")
    settings = ScoringSettings(
        alpha=alpha,
        source=source or ("md" if topology else "crystal"),
        with_strain=strain,
        seed=seed,
        declared=template,
        device=str(resolve_device(device)),
        threads=resolve_threads(threads),
    )
    records = _records(input, template, topology, select, stride)
    named = named_energy(energy, model)
    known = read_library(library) if library else None
    diagnostician = load_diagnostician(diagnosis, alpha=alpha) if diagnose or diagnosis else None
    scores = score_records(records, named, settings, load_calibration(calibration), known, diagnostician)
    torch.set_num_threads(1)  # the threads are shared out over batches

    n_scored = n_failed = n_flagged = 0
    with ExitStack() as stack:
        table = unflagged(output) if fdr is not None else output
        write_row = stack.enter_context(table_writer(table, COLUMNS, force=force or fdr is not None))
        write_atom = stack.enter_context(table_writer(atoms, ATOM_COLUMNS, force=force)) if atoms else None
        write_term = stack.enter_context(table_writer(terms, TERM_COLUMNS, force=force)) if terms else None
        facts = {"energy": energy, "plausible structures": settings.source}
        if fdr is not None:
            facts["flagged in the table"] = f"by a rate of false discoveries of {fdr:g}"
        page = ReportCollector(input, alpha=alpha, facts=facts) if report else None
        trace = ScorePlot(alpha=alpha, stride=stride if topology else None) if plot else None
        advance = stack.enter_context(progress("scoring", unit="structure", quiet=quiet))
        for found in scores:
            write_row(found.row())
            if write_atom is not None:
                for row in atom_rows(found):
                    write_atom(row)
            if write_term is not None:
                for row in term_rows(found):
                    write_term(row)
            if page is not None:
                page.add(found)
            if trace is not None:
                trace.add(found)
            if found.score is None:
                if not n_failed:
                    write_failure = stack.enter_context(csv_writer(failures, FAILURE_COLUMNS, force=force))
                reported = failure(found.name, found.source, found.status)
                write_failure(failure_row(found.record, reported))
                tell_failure(reported.name, reported.input, reported.reason, reported.cure)
                n_failed += 1
            else:
                n_scored += 1
                n_flagged += bool(found.flagged)
            advance(1)
    if fdr is not None:
        n_flagged = flag_again(table, output, fdr, force=force)
    if page is not None and report is not None:
        with replacing(report, force=force) as file:
            file.write(page.render())
    if trace is not None and plot is not None:
        trace.write(plot)
    if not n_failed:
        failures.unlink(missing_ok=True)  # of an earlier run
    count(scored=n_scored, flagged=n_flagged, failed=n_failed)
    tell(f"{n_scored} structures scored in '{output}', {n_flagged} of them flagged", quiet=quiet)
    if n_failed:
        tell(f"{n_failed} of {n_scored + n_failed} records failed; see '{failures}'")
    return 1 if n_failed else 0


def _records(
    given: str, template: str | None, topology: Path | None, select: str | None, stride: int
) -> Iterator[Record]:
    """Read a file of structures, or with a topology the frames of a trajectory."""
    from molebm.chem.reading import read_molecules

    suffix = Path(given.lower().removesuffix(".gz")).suffix
    if topology is None:
        if select is not None or stride != 1:
            raise RequestError("--select and --stride are of a trajectory; give its atoms with --topology")
        return read_molecules(given, template=template if suffix == ".pdb" else None)
    from molebm.chem.trajectory import read_trajectory

    of_bonds = Path(str(topology).lower().removesuffix(".gz")).suffix in (".sdf", ".sd", ".mol", ".mol2")
    return read_trajectory(
        given, topology=topology, template=None if of_bonds else template, selection=select, stride=stride
    )
