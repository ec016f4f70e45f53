"""`molebm free-energy`: differences of free energy of molecules, with error bars."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from molebm.cli.failures import FAILURE_COLUMNS, failure_row, failures_path
from molebm.cli.log import count, tell, tell_failure
from molebm.cli.options import ENERGY_NAMES, check_output, force_option, model_option, quiet_option, seed_option
from molebm.cli.progress import progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from molebm.chem.reading import Record
    from molebm.conformers.free_energies import FreeEnergySettings, MoleculeFreeEnergies

EXAMPLES: Final = """\b
Examples:
  molebm free-energy 'CCCC butane' --from mmff94 --to learned --temperature 300 -o table.csv
  molebm free-energy ligands.sdf --from learned --to learned --to-temperature 400 -o table.csv
  molebm free-energy 'OCCO glycol' -o table.csv --basins basins.csv
"""
COLUMNS: Final = (
    "record",
    "name",
    "method",
    "delta_f_kT",
    "error_kT",
    "lower_kT",
    "upper_kT",
    "delta_f_kcal_mol",
    "error_kcal_mol",
    "effective_sample_size",
    "hysteresis_kT",
    "chains",
)
BASIN_COLUMNS: Final = (
    "record",
    "name",
    "energy",
    "temperature_K",
    "torsions",
    "state",
    "population",
    "free_energy_kcal_mol",
    "error_kcal_mol",
)


@click.command(name="free-energy", epilog=EXAMPLES)
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Table to write, .csv or .tsv.")
@click.option(
    "--from",
    "first",
    type=click.Choice(ENERGY_NAMES),
    default="mmff94",
    show_default=True,
    help="Energy to leave.",
)
@click.option(
    "--to", "last", type=click.Choice(ENERGY_NAMES), default="learned", show_default=True, help="Energy to reach."
)
@click.option("--temperature", type=float, default=300.0, show_default=True, help="K.")
@click.option("--to-temperature", type=float, help="K, of the energy that it goes to, if another.")
@click.option("--basins", type=click.Path(path_type=Path), help="Also a table of conformers by their torsion states.")
@click.option("--chains", type=click.IntRange(min=4), default=32, show_default=True, help="At each of nine rungs.")
@click.option("--samples", type=click.IntRange(min=2), default=20, show_default=True, help="Of each chain.")
@click.option("--mbar", is_flag=True, help="Also weigh all rungs together, by pymbar.")
@model_option
@seed_option
@force_option
@quiet_option
def free_energy(
    source: str,
    output: Path,
    first: str,
    last: str,
    temperature: float,
    to_temperature: float | None,
    basins: Path | None,
    chains: int,
    samples: int,
    mbar: bool,
    model: Path | None,
    seed: int,
    force: bool,
    quiet: bool,
) -> int:
    """Estimate how the free energy of the molecules in SOURCE changes from one energy, or temperature, to another.

    One row for each molecule and method, of F1/kT1 - F0/kT0 = -ln Z1/Z0 in a vacuum:

    \b
    ais   annealed importance sampling, both ways, by Bennett's ratio; its bounds
          are those of the mean weights forward and back
    ti    thermodynamic integration; bounds by sums at either end of intervals
    bar   Bennett's ratio between neighbouring rungs
    mbar  all rungs together, with --mbar
    leap  exponential averaging from the first end alone

    In kcal/mol where the temperatures are the same. Samples are of Langevin dynamics with turns of bonds. Molecules
    that fail are listed, with the reason, in a table that ends in .failures.csv beside the output.
    """
    import torch

    from molebm.chem.reading import count_molecules, read_molecules
    from molebm.chem.writing import csv_writer
    from molebm.conformers.free_energies import FreeEnergySettings
    from molebm.conformers.outcomes import failure
    from molebm.errors import MoleculeError, TimeLimitError
    from molebm.family.free_energy import PathSettings
    from molebm.family.thermodynamic_path import Dynamics

    failures = failures_path(output)
    for path in (output, failures, basins):
        if path is not None:
            check_output(path, force=force)
    settings = FreeEnergySettings(
        first=first,
        last=last,
        model=model,
        temperature=temperature,
        last_temperature=to_temperature,
        n_chains=chains,
        seed=seed,
        path=PathSettings(dynamics=Dynamics(n_samples=samples)),
        all_rungs=mbar,
    )
    torch.set_num_threads(1)
    n_done = n_failed = 0
    with ExitStack() as stack:
        write_row = stack.enter_context(csv_writer(output, COLUMNS, force=force))
        write_basin = stack.enter_context(csv_writer(basins, BASIN_COLUMNS, force=force)) if basins else None
        total = 100 * count_molecules(source)
        advance = stack.enter_context(progress("sampling", total=total, unit="%", quiet=quiet))
        for record in read_molecules(source):
            try:
                found = _one(record, settings, advance)
            except (MoleculeError, TimeLimitError) as error:
                if not n_failed:
                    write_failure = stack.enter_context(csv_writer(failures, FAILURE_COLUMNS, force=force))
                reported = failure(record.name, record.source, error)
                write_failure(failure_row(record.index, reported))
                tell_failure(reported.name, reported.input, reported.reason, reported.cure)
                n_failed += 1
                continue
            n_done += 1
            for row in _rows(record, found, settings):
                write_row(row)
            if write_basin is not None:
                for row in _basin_rows(record, found, settings):
                    write_basin(row)
    if not n_failed:
        failures.unlink(missing_ok=True)  # of an earlier run
    count(molecules=n_done, failed=n_failed)
    tell(f"free energies of {n_done} molecules in '{output}'", quiet=quiet)
    if n_failed:
        tell(f"{n_failed} of {n_done + n_failed} molecules failed; see '{failures}'")
    return 1 if n_failed else 0


def _one(record: Record, settings: FreeEnergySettings, advance: Any) -> MoleculeFreeEnergies:
    from molebm.conformers.free_energies import molecule_free_energies
    from molebm.errors import MoleculeError

    if record.mol is None:
        advance(100)
        raise MoleculeError(record.error or "the record holds no molecule; correct it")
    steps = molecule_free_energies(record.mol, settings)
    shown = 0
    try:
        while True:
            percent = int(100 * next(steps))
            advance(percent - shown)
            shown = percent
    except StopIteration as stop:
        return stop.value
    finally:
        advance(100 - shown)


def _rows(record: Record, found: MoleculeFreeEnergies, settings: FreeEnergySettings) -> Iterator[dict[str, Any]]:
    from molebm.units import thermal_energy

    same = settings.end_temperature == settings.temperature
    kcal = thermal_energy(settings.temperature) if same else None
    for one in found.estimates:
        yield {
            "record": record.index,
            "name": record.name,
            "method": one.method,
            "delta_f_kT": one.value,
            "error_kT": one.error,
            "lower_kT": one.lower,
            "upper_kT": one.upper,
            "delta_f_kcal_mol": None if kcal is None else kcal * one.value,
            "error_kcal_mol": None if kcal is None else kcal * one.error,
            "effective_sample_size": one.effective_size,
            "hysteresis_kT": one.hysteresis,
            "chains": found.n_chains,
        }


def _basin_rows(record: Record, found: MoleculeFreeEnergies, settings: FreeEnergySettings) -> Iterator[dict[str, Any]]:
    torsions = " ".join("-".join(map(str, atoms)) for atoms in found.torsions)
    for name, temperature, several in (
        (settings.first, settings.temperature, found.first_basins),
        (settings.last, settings.end_temperature, found.last_basins),
    ):
        for basin in several:
            yield {
                "record": record.index,
                "name": record.name,
                "energy": name,
                "temperature_K": temperature,
                "torsions": torsions,
                "state": basin.name,
                "population": basin.population,
                "free_energy_kcal_mol": basin.free_energy,
                "error_kcal_mol": basin.error,
            }
