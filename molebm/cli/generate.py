"""`molebm generate`: low-energy conformers of molecules."""

from __future__ import annotations

from collections.abc import Mapping
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

if TYPE_CHECKING:
    from molebm.chem.writing import WriteConformer
    from molebm.conformers.outcomes import Ensemble
    from molebm.conformers.settings import Compile

EXAMPLES: Final = """\b
Examples:
  molebm generate drugs.smi -o conformers.sdf
  molebm generate 'CC(=O)Oc1ccccc1C(=O)O aspirin' -o aspirin.sdf -n 5
  molebm generate library.csv -o conformers.sdf.gz --threads 8 --energy-window 6
  molebm generate ligands.sdf -o conformers.sdf --energy mmff94s --force
"""


@click.command(epilog=EXAMPLES)
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="SDF to write, perhaps .sdf.gz.")
@click.option(
    "-n", "--n-conformers", type=click.IntRange(min=1), default=20, show_default=True, help="Of each molecule, at most."
)
@click.option("--energy-window", type=float, default=10.0, show_default=True, help="kcal/mol above the lowest.")
@click.option("--rmsd", type=float, default=0.5, show_default=True, help="Å; nearer conformers count as one.")
@click.option("--temperature", type=float, default=300.0, show_default=True, help="K, of the Boltzmann weights.")
@energy_option
@model_option
@click.option("--time-limit", type=float, default=120.0, show_default=True, help="Seconds for each molecule.")
@click.option(
    "--compile",
    "compile_",
    type=click.Choice(["auto", "on", "off"]),
    default="auto",
    show_default=True,
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

    Molecules keep the order of the input, and conformers come by rising energy. Stereo that the input
    declares is kept; what it leaves open is chosen once for all conformers of a molecule. Molecules
    that fail are listed, with the reason and what to do, in a table that ends in .failures.csv beside
    the output.
    """
    from molebm.chem.writing import csv_writer, structure_writer
    from molebm.conformers.generation import generate_ensembles
    from molebm.conformers.outcomes import Failure
    from molebm.conformers.settings import GenerationSettings

    failures = failures_path(output)
    for path in (output, failures):
        check_output(path, force=force)
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
    )
    given = Path(source) if Path(source).exists() else source
    outcomes = generate_ensembles(given, settings, threads=resolve_threads(threads))
    n_done = n_failed = n_written = 0
    with ExitStack() as stack:
        write_conformer = stack.enter_context(structure_writer(output, force=force))
        advance = stack.enter_context(progress("generating", unit="molecule", quiet=quiet))
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                if not n_failed:
                    write_failure = stack.enter_context(csv_writer(failures, FAILURE_COLUMNS, force=force))
                write_failure({column: getattr(outcome, column) for column in FAILURE_COLUMNS})
                n_failed += 1
            else:
                n_written += write_ensemble(outcome, write_conformer)
                n_done += 1
            advance(1)
    if not n_failed:
        failures.unlink(missing_ok=True)  # of an earlier run
    if not quiet:
        click.echo(f"{n_written} conformers of {n_done} molecules in '{output}'", err=True)
    if n_failed:
        click.echo(f"{n_failed} of {n_done + n_failed} molecules failed; see '{failures}'", err=True)
    return 1 if n_failed else 0


def write_ensemble(found: Ensemble, write_conformer: WriteConformer) -> int:
    """Write every conformer with its properties and return how many there are."""
    for conformer in found.mol.GetConformers():
        properties: Mapping[str, float] = conformer.GetPropsAsDict()
        write_conformer(found.mol, conformer.GetId(), found.name, properties)
    return found.mol.GetNumConformers()
