"""`molebm generate`: low-energy conformers of molecules."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

import click

from molebm.cli.failures import failures_path
from molebm.cli.interruption import terminated_by_signals
from molebm.cli.log import count, tell, tell_failure
from molebm.cli.options import (
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
from molebm.cli.progress import progress
from molebm.conformers.settings import Choose, Compile, Environment, GenerationSettings, Start, Stereo
from molebm.errors import MolebmError

if TYPE_CHECKING:
    from molebm.chem.ensemble_text import EnsembleText
    from molebm.cli.resumable_output import ResumableOutput
    from molebm.conformers.sharding import Shard

option: Final = partial(click.option, show_default=True)
DEFAULT: Final = GenerationSettings()
EXAMPLES: Final = """\b
Examples:
  molebm generate drugs.smi -o conformers.sdf
  molebm generate 'CC(=O)Oc1ccccc1C(=O)O aspirin' -o aspirin.sdf -n 5
  molebm generate library.csv -o conformers.sdf.gz --threads 8 --energy-window 6
  molebm generate ligands.sdf -o conformers.sdf --energy mmff94s --force
  molebm generate ligands.sdf -o conformers.sdf --start diffusion --start-model run/model.safetensors
  molebm generate 'CCO' -o ethanol.sdf --trajectory ethanol.dcd
  molebm generate library.smi.gz -o part-3.sdf.gz --shard 3/10 --resume
"""


@click.command(epilog=EXAMPLES)
@click.argument("source")
@option("-o", "--output", type=click.Path(path_type=Path), required=True, help="SDF to write, perhaps .sdf.gz.")
@option(
    "-n",
    "--n-conformers",
    type=click.IntRange(min=1),
    default=DEFAULT.n_conformers,
    help="Of each molecule, at most.",
)
@option("--energy-window", default=DEFAULT.energy_window, help="kcal/mol above the lowest.")
@option("--rmsd", default=DEFAULT.rmsd, help="Å; nearer conformers count as one.")
@option("--temperature", default=DEFAULT.temperature, help="K, of the Boltzmann weights.")
@energy_option
@model_option
@option("--time-limit", default=DEFAULT.time_limit, help="Seconds for each molecule.")
@option(
    "--start",
    type=click.Choice(get_args(Start)),
    default=DEFAULT.start,
    help="Coordinates to start from; etkdg: those of RDKit; diffusion: made from noise by a model.",
)
@option(
    "--start-model",
    type=click.Path(path_type=Path),
    help="Checkpoint of the model for --start diffusion, if not the shipped.",
)
@option(
    "--stereo",
    type=click.Choice(get_args(Stereo)),
    default=DEFAULT.stereo,
    help="Where the input leaves stereo open: one isomer, or conformers of each.",
)
@option(
    "--choose",
    type=click.Choice(get_args(Choose)),
    default=DEFAULT.choose,
    help="Conformers to keep: the lowest, or those that are far from one another.",
)
@option(
    "--environment",
    type=click.Choice(get_args(Environment)),
    default=DEFAULT.environment,
    help="bound: as in water or a protein, where molecules are extended.",
)
@option("--vibrations", is_flag=True, help="Count the free energy of vibration in the Boltzmann weights.")
@option("--shard", default="1/1", help="Part of the input: 3/10 is every tenth from the third.")
@option("--trajectory", type=click.Path(path_type=Path), help="Also .dcd .xtc .trr or .h5, and a .pdb beside it.")
@resume_option
@option(
    "--compile",
    "compile_",
    type=click.Choice(get_args(Compile)),
    default=DEFAULT.compile,
    help="PyTorch's compiler, where the kernel's form in C cannot serve; auto: for long jobs.",
)
@seed_option
@device_option
@threads_option
@force_option
@quiet_option
def generate(
    source: str,
    output: Path,
    n_conformers: int,
    energy_window: float,
    rmsd: float,
    temperature: float,
    energy: str,
    model: Path | None,
    time_limit: float,
    start: Start,
    start_model: Path | None,
    stereo: Stereo,
    choose: Choose,
    environment: Environment,
    vibrations: bool,
    shard: str,
    trajectory: Path | None,
    resume: bool,
    compile_: Compile,
    seed: int,
    device: str,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> int:
    """Make conformers of the molecules in SOURCE: a file (.smi .csv .sdf and others, perhaps .gz) or one SMILES.

    \b
    title                     name of the molecule
    energy_kcal_mol           of the conformer
    relative_energy_kcal_mol  above the lowest conformer of the molecule
    boltzmann_weight          at the temperature; sums to 1 over the molecule's conformers
    input_record              position of the molecule in the input, from 0

    Molecules keep the order of the input, and conformers come by rising energy. Stereo that the input
    declares is kept; what it leaves open is chosen once for all conformers of a molecule. Molecules
    that fail are listed, with the reason and what to do, in a table that ends in .failures.csv beside
    the output. Both appear when the run is complete; one that was interrupted is gone on with by --resume.
    Of several molecules, each has a trajectory of its own, with a number in its name.
    """
    from molebm.chem.ensemble_text import ensemble_text
    from molebm.cli.request import request_of
    from molebm.cli.resumable_output import check_free, resumable_output
    from molebm.cli.trajectory_output import check_trajectories, write_as_trajectories
    from molebm.conformers.sharding import parse_shard

    check_trajectories(trajectory, output, force=force or resume)
    make_text = ensemble_text(output)
    if check_free(output, resume=resume, force=force):
        write_as_trajectories(output, trajectory, force=force or resume)
        tell(f"'{output}' is complete; to make it anew, use --force in place of --resume")
        return 1 if failures_path(output).exists() else 0
    settings = GenerationSettings(
        n_conformers=n_conformers,
        energy_window=energy_window,
        rmsd=rmsd,
        temperature=temperature,
        seed=seed,
        energy=energy,
        model=model,
        device=str(resolve_device(device)),
        compile=compile_,
        time_limit=time_limit,
        start=start,
        start_model=start_model,
        stereo=stereo,
        choose=choose,
        environment=environment,
        vibrations=vibrations,
    )
    given = Path(source) if Path(source).exists() else source
    part = parse_shard(shard)
    with (
        terminated_by_signals() as check_signals,
        resumable_output(output, request_of(given, settings, part), resume=resume, force=force) as files,
    ):
        work = Work(given, settings, part, resolve_threads(threads))
        try:
            fill(files, work, make_text, check_signals, quiet=quiet)
        except (KeyboardInterrupt, MolebmError):
            if files.journal.next_record:
                tell("What is done is kept: go on with the same command and --resume.")
            raise
        done = files.journal
    write_as_trajectories(output, trajectory, force=force or resume)
    n_done, n_conformers = done.counts.get("done", 0), done.counts.get("conformers", 0)
    count(molecules=n_done, conformers=n_conformers, failed=done.n_failed)
    tell(f"{n_conformers} conformers of {n_done} molecules in '{output}'", quiet=quiet)
    if done.n_failed:
        failures = failures_path(output)
        tell(f"{done.n_failed} of {n_done + done.n_failed} molecules failed; see '{failures}'")
    return 1 if done.n_failed else 0


class Work(NamedTuple):
    """What is to be computed."""

    source: str | Path
    settings: GenerationSettings
    shard: Shard
    threads: int


def fill(
    files: ResumableOutput, work: Work, make_text: EnsembleText, check_signals: Callable[[], None], *, quiet: bool
) -> None:
    """Compute all records that are not in the output yet, and write them to it."""
    from molebm.chem.reading import count_molecules
    from molebm.cli.rendering import written
    from molebm.conformers.generation import generate_records

    def total() -> int | None:
        try:
            return work.shard.n_records(count_molecules(work.source))
        except MolebmError:  # which the run tells when it comes to it
            return None

    if not files.journal.complete:
        first = files.journal.next_record
        finished = generate_records(
            work.source,
            work.settings,
            threads=work.threads,
            shard=work.shard,
            first=first,
            finish=partial(written, make_text),
            shielded=True,
        )
        done = work.shard.n_records(first)
        shown = progress("generating", total=total, completed=done, unit="molecule", quiet=quiet)
        with closing(finished), shown as advance:
            for record in finished:
                files.add(record.index, record.result)
                for row in record.result.failures:
                    tell_failure(*row)
                advance(1)
                check_signals()
    files.finish()
