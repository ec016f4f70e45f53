"""`molebm repair`: flagged structures relaxed, and no other molecule made of them."""

from __future__ import annotations

from collections import Counter
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, get_args

import click

from molebm.cli.failures import FAILURE_COLUMNS, failure_row, failures_path
from molebm.cli.interruption import terminated_by_signals
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
    from rdkit import Chem

    from molebm.plausibility.repair_outcome import Repaired

EXTENSIONS: Final = (".sdf", ".sd", ".sdf.gz", ".sd.gz")
EXAMPLES: Final = """\b
Examples:
  molebm repair poses.sdf -o repaired.sdf
  molebm repair poses.sdf -o repaired.sdf --table repairs.csv --alpha 0.01
  molebm repair poses.sdf -o repaired.sdf --template 'C[C@H](N)C(=O)O' --stereo rebuild
  molebm repair conformers.sdf.gz -o relaxed.sdf.gz --all --environment vacuum
"""


@click.command(epilog=EXAMPLES)
@click.argument("input", metavar="IN")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="SDF to write, perhaps .sdf.gz.")
@click.option("--table", type=click.Path(path_type=Path), help="Also a table of all records, .csv or .tsv.")
@click.option("--all", "relax_all", is_flag=True, help="Relax those that are not flagged too, on tethers.")
@click.option(
    "--stereo",
    type=click.Choice(["refuse", "rebuild"]),
    default="refuse",
    show_default=True,
    help="What has not the declared stereo: left as it is, or built again as declared.",
)
@click.option(
    "--environment",
    type=click.Choice(["bound", "vacuum"]),
    default="bound",
    show_default=True,
    help="bound: relax as in water or a protein, where charges and attraction are weaker.",
)
@click.option("--alpha", type=float, default=0.05, show_default=True, help="Share of plausible inputs to flag at most.")
@energy_option
@model_option
@click.option("--source", default="crystal", show_default=True, help="As in `molebm score`.")
@click.option("--calibration", type=click.Path(path_type=Path), help="What `molebm calibrate` wrote.")
@click.option("--template", help="SMILES of what every structure is meant to be: declares stereo, bond orders of PDB.")
@click.option("--time-limit", type=float, default=60.0, show_default=True, help="Seconds for each relaxation.")
@seed_option
@device_option
@threads_option
@force_option
@quiet_option
def repair(
    input: str,
    output: Path,
    table: Path | None,
    relax_all: bool,
    stereo: str,
    environment: str,
    alpha: float,
    energy: str,
    model: Path | None,
    source: str,
    calibration: Path | None,
    template: str | None,
    time_limit: float,
    seed: int,
    device: str,
    threads: int | None,
    force: bool,
    quiet: bool,
) -> int:
    """Relax what `molebm score` flags in IN (.sdf .mol .mol2 .pdb, perhaps .gz), and leave the rest alone.

    First the hydrogens are relaxed alone, then all atoms with weak springs, then without, and at last the structure
    is folded anew; the first result that is no longer flagged is taken. None is taken that breaks or makes a bond,
    or has other stereo than is declared or was there.

    \b
    molebm_status   sound, relaxed (--all), repaired, improved (lower score, still flagged),
                    not repaired: why (as it was given), or failed: why (no score)
    molebm_rmsd     Å, of the heavy atoms in the best superposition
    molebm_p_before, molebm_p_after, molebm_score_before, molebm_score_after
                    as in `molebm score`; after: of what is written

    Records keep their order, names and data fields. What cannot be scored is listed, with what to do, in a table that
    ends in .failures.csv beside the output.
    """
    import torch

    from molebm.chem.reading import read_molecules
    from molebm.chem.writing import csv_writer, replacing
    from molebm.conformers.outcomes import failure
    from molebm.parametrise import named_energy
    from molebm.plausibility.calibration import load_calibration
    from molebm.plausibility.mending import Environment
    from molebm.plausibility.repair import repair_records
    from molebm.plausibility.repair_outcome import COLUMNS, RepairSettings, Stereo
    from molebm.plausibility.scoring import ScoringSettings

    if not output.name.lower().endswith(EXTENSIONS):
        raise RequestError(f"output '{output}' is of an unknown kind; known are {' '.join(EXTENSIONS)}")
    failures = failures_path(output)
    outputs = [path for path in (output, failures, table) if path is not None]
    if len(set(outputs)) < len(outputs):
        raise RequestError(f"'{table}' is named for two outputs; name another file with --table")
    for path in outputs:
        check_output(path, force=force)
    settings = RepairSettings(
        scoring=ScoringSettings(
            alpha=alpha,
            source=source,
            seed=seed,
            declared=template,
            device=str(resolve_device(device)),
            threads=resolve_threads(threads),
        ),
        relax_all=relax_all,
        stereo=next(one for one in get_args(Stereo) if one == stereo),
        environment=next(one for one in get_args(Environment) if one == environment),
        time_limit=time_limit,
    )
    is_pdb = input.lower().removesuffix(".gz").endswith(".pdb")
    records = read_molecules(input, template=template if is_pdb else None)
    named = named_energy(energy, model)
    torch.set_num_threads(1)  # the threads are shared out over records

    kinds: Counter[str] = Counter()
    with ExitStack() as stack:
        check_signals = stack.enter_context(terminated_by_signals())
        sdf = stack.enter_context(replacing(output, force=force))
        write_row = stack.enter_context(csv_writer(table, COLUMNS, force=force)) if table else None
        advance = stack.enter_context(progress("repairing", unit="structure", quiet=quiet))
        for found in repair_records(records, named, settings, load_calibration(calibration)):
            sdf.write(sdf_record(found))
            if write_row is not None:
                write_row(found.row())
            if found.kind == "failed":
                if not kinds["failed"]:
                    write_failure = stack.enter_context(csv_writer(failures, FAILURE_COLUMNS, force=force))
                reported = failure(found.name, found.source, found.why)
                write_failure(failure_row(found.record, reported))
                tell_failure(reported.name, reported.input, reported.reason, reported.cure)
            kinds[found.kind] += 1
            advance(1)
            check_signals()
    n_failed = kinds.pop("failed", 0)
    if not n_failed:
        failures.unlink(missing_ok=True)  # of an earlier run
    count(**kinds, failed=n_failed)
    told = ", ".join(f"{number} {kind}" for kind, number in kinds.items())
    tell(f"{kinds.total()} structures in '{output}'{': ' if told else ''}{told}", quiet=quiet)
    if n_failed:
        tell(f"{n_failed} of {n_failed + kinds.total()} records failed; see '{failures}'")
    return 1 if n_failed else 0


def sdf_record(found: Repaired) -> str:
    """Write the structure with its title, its data fields, and what was done; nothing if there are no coordinates."""
    from molebm.chem.writing import sdf_block, text_of

    if found.mol is None or found.mol.GetNumConformers() == 0:
        return ""
    told = {
        "molebm_status": found.status,
        "molebm_p_before": found.before.p_value,
        "molebm_p_after": found.after.p_value,
        "molebm_score_before": found.before.score,
        "molebm_score_after": found.after.score,
        "molebm_rmsd": found.rmsd,
    }
    fields = data_fields(found.mol) | {key: text_of(value) for key, value in told.items()}
    block = sdf_block(found.mol, -1, title_of(found.mol), {}).removesuffix("$$$$\n")
    return block + "".join(f">  <{key}>\n{text}\n\n" for key, text in fields.items()) + "$$$$\n"


def data_fields(mol: Chem.Mol) -> dict[str, str]:
    """Return the data fields as they were read, less the lines that would end them or the record."""
    fields = mol.GetPropsAsDict(includePrivate=False, includeComputed=False, autoConvertStrings=False)
    lines = {key: str(value).splitlines() for key, value in fields.items()}
    return {key: "\n".join(line for line in text if line.strip() and line[:4] != "$$$$") for key, text in lines.items()}


def title_of(mol: Chem.Mol) -> str:
    return mol.GetProp("_Name") if mol.HasProp("_Name") else ""
