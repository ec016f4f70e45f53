"""`molebm calibrate`: hold scores against structures that the user trusts."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from molebm.cli.log import count, tell, tell_failure
from molebm.cli.options import (
    check_output,
    device_option,
    energy_option,
    force_option,
    model_option,
    quiet_option,
    resolve_device,
)
from molebm.cli.progress import progress

EXAMPLES: Final = """\b
Examples:
  molebm calibrate trusted.sdf -o ours.json --name ours
  molebm score poses.sdf -o scores.csv --calibration ours.json --source ours
  molebm calibrate crystals.sdf -o mmff94.json --name crystal --energy mmff94 --learn
"""


@click.command(epilog=EXAMPLES)
@click.argument("trusted", metavar="TRUSTED")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Calibration to write, .json.")
@click.option("--name", default="trusted", show_default=True, help="What to call them: `molebm score --source`.")
@click.option(
    "--calibration", type=click.Path(path_type=Path), help="Calibration to add to; the shipped one if left out."
)
@click.option(
    "--learn",
    is_flag=True,
    help="Also learn from these structures what is usual in each environment; some hundreds are needed.",
)
@energy_option
@model_option
@device_option
@force_option
@quiet_option
def calibrate(
    trusted: str,
    output: Path,
    name: str,
    calibration: Path | None,
    learn: bool,
    energy: str,
    model: Path | None,
    device: str,
    force: bool,
    quiet: bool,
) -> int:
    """Score the structures in TRUSTED, so that p-values say how others compare with them.

    The structures are ones like those to be scored that are known to be good: at least 20, better hundreds,
    each of another molecule. With n of them the smallest p-value is 1 / (n + 1). The calibration that is
    written has all that the other had, and these structures as a source of their own.
    """
    import json

    import torch

    from molebm.chem.reading import read_molecules
    from molebm.chem.writing import replacing
    from molebm.parametrise import named_energy
    from molebm.plausibility.calibrating import calibrate as add_source
    from molebm.plausibility.calibrating import learn_calibration
    from molebm.plausibility.calibration import load_calibration, to_json

    check_output(output, force=force)
    records = read_molecules(trusted)
    named = named_energy(energy, model)
    torch.set_num_threads(1)
    n_unread = 0
    mols = []
    with progress("reading", unit="structure", quiet=quiet) as advance:
        for record in records:
            if record.mol is None:
                n_unread += 1
                tell_failure(record.name, record.source, str(record.error), "")
            else:
                mols.append(record.mol)
            advance(1)
    where = str(resolve_device(device))
    if learn:
        made = learn_calibration(mols, named, source=name, provenance=trusted, device=where)
    else:
        base = load_calibration(calibration)
        made = add_source(mols, named, base, source=name, provenance=trusted, device=where)
    with replacing(output, force=force) as file:
        json.dump(to_json(made), file)
    n = made.sources[name].n
    count(structures=n, failed=len(mols) + n_unread - n)
    tell(f"{n} structures in '{output}' as source {name!r}; the smallest p-value is {1 / (n + 1):.3g}", quiet=quiet)
    if len(mols) + n_unread > n:
        tell(f"{len(mols) + n_unread - n} of {len(mols) + n_unread} records could not be scored")
        return 1
    return 0
