"""`molebm score`: how plausible given structures are, and what is wrong where."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from molebm.cli.failures import failures_path
from molebm.cli.log import count, tell
from molebm.cli.options import (
    check_output,
    device_option,
    energy_option,
    force_option,
    model_option,
    quiet_option,
    resolve_device,
    resolve_threads,
    resume_option,
    seed_option,
    threads_option,
)
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
@resume_option
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
    resume: bool,
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
    .failures.csv beside the output. All appear when the run is complete; one that was interrupted is gone on
    with by --resume.
    """
    import torch

    from molebm.cli.parquet import check_parquet, is_in_parquet
    from molebm.cli.request import scoring_request
    from molebm.cli.resumable_output import check_free
    from molebm.cli.score_page import Worst
    from molebm.cli.score_plot import check_plot
    from molebm.cli.score_run import Outputs, Scoring, score_to_end, write_page, write_plot, write_tables
    from molebm.parametrise import named_energy
    from molebm.plausibility.calibration import load_calibration
    from molebm.plausibility.diagnosis import load_diagnostician
    from molebm.plausibility.scoring import ScoringSettings, score_records
    from molebm.plausibility.trained_library import read_library

    failures = failures_path(output)
    outputs = Outputs(output, failures, atoms, terms, report, plot, fdr)
    named_outputs = [path for path in (output, failures, atoms, terms, report, plot) if path is not None]
    for path in named_outputs:
        if named_outputs.count(path) > 1:
            raise RequestError(f"'{path}' is named for two outputs; name another file for one of them")
        if not resume:
            check_output(path, force=force)
        if is_in_parquet(path):
            check_parquet()
    complete = check_free(outputs.rows, resume=resume, force=force, failures=failures) or (resume and output.is_file())
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
    read = {
        "input": input,
        "library": library,
        "calibration": calibration,
        "diagnosis": diagnosis,
        "topology": topology,
    }
    rest: dict[str, str | float | None] = {"energy": energy, "diagnose": diagnose, "select": select, "stride": stride}
    rest |= {"atoms": atoms is not None, "terms": terms is not None}
    named = named_energy(energy, model)
    known = read_library(library) if library else None
    diagnostician = load_diagnostician(diagnosis, alpha=alpha) if diagnose or diagnosis else None
    calibrated = load_calibration(calibration)
    torch.set_num_threads(1)  # the threads are shared out over batches
    scoring = Scoring(
        lambda: _records(input, template, topology, select, stride),
        lambda records: score_records(records, named, settings, calibrated, known, diagnostician),
        settings.batch_size,
        scoring_request(read, settings, model, **rest),
    )
    facts = {"energy": energy, "plausible structures": settings.source}
    if fdr is not None:
        facts["flagged in the table"] = f"by a rate of false discoveries of {fdr:g}"
    worst, done = Worst(), None
    if not complete:
        done, worst = score_to_end(scoring, outputs, resume=resume, force=force, quiet=quiet)
    if report is not None and (done or not report.exists()):
        write_page(scoring, outputs, worst, input, alpha, facts)
    if plot is not None and (done or not plot.exists()):
        write_plot(outputs, alpha, stride if topology else None)
    n_flagged = write_tables(outputs)
    if done is None:
        tell(f"'{output}' is complete; to make it anew, use --force in place of --resume")
        return 1 if failures.exists() else 0
    n_scored, n_failed = done.counts.get("scored", 0), done.n_failed
    n_flagged = done.counts.get("flagged", 0) if n_flagged is None else n_flagged
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
