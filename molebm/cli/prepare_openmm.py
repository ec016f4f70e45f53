"""`molebm prepare-openmm`: samples of OpenMM force fields to train on."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from molebm.cli.log import count, tell, tell_failure
from molebm.cli.options import quiet_option, resolve_threads, seed_option, threads_option
from molebm.cli.progress import progress
from molebm.errors import RequestError

if TYPE_CHECKING:
    from molebm.preparation.openmm_input import OpenMMMolecule

_SOLVENTS: Final = ("obc2", "gbn2", "none")  # those of molebm.references.peptides, which is slow to import
_FILE: Final = click.Path(path_type=Path)

EXAMPLES: Final = """\b
Examples:
  molebm prepare-openmm ALA GLY VAL -o dipeptides
  molebm prepare-openmm ALA GLY --solvent gbn2 --hold-out GLY --temperature 300 --temperature 450 -o two
  molebm prepare-openmm --system system.xml --structure ligand.sdf -o ligand
"""


@click.command(epilog=EXAMPLES)
@click.argument("residues", nargs=-1, metavar="[RESIDUE]...")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to fill.")
@click.option(
    "--solvent", type=click.Choice(_SOLVENTS), default="obc2", show_default=True, help="Around the dipeptides."
)
@click.option("--hold-out", multiple=True, metavar="RESIDUE", help="Keep it for testing; may be repeated.")
@click.option("--system", type=_FILE, help="A system of your own, as openmm.XmlSerializer writes it.")
@click.option("--structure", type=_FILE, help="Its atoms in the same order with all hydrogens; records are starts.")
@click.option(
    "--temperature",
    "temperatures",
    type=click.FloatRange(min=0, min_open=True),
    multiple=True,
    default=(300.0, 380.0, 480.0, 600.0),
    show_default=True,
    help="K; repeat it for the ladder, rising.",
)
@click.option("--runs", type=click.IntRange(min=1), default=4, show_default=True, help="Replica exchange, independent.")
@click.option(
    "--frames", type=click.IntRange(min=1), default=500, show_default=True, help="Of each run and temperature."
)
@click.option("--between", type=click.FloatRange(min=0.5), default=2.0, show_default=True, help="ps between frames.")
@click.option("--platform", help="Of OpenMM; if left out, one that is quick for small molecules on one core.")
@seed_option
@threads_option
@quiet_option
def prepare_openmm(
    residues: tuple[str, ...],
    output: Path,
    solvent: str,
    hold_out: tuple[str, ...],
    system: Path | None,
    structure: Path | None,
    temperatures: tuple[float, ...],
    runs: int,
    frames: int,
    between: float,
    platform: str | None,
    seed: int,
    threads: int | None,
    quiet: bool,
) -> int:
    """Sample OpenMM force fields by replica exchange, to learn an energy from the samples alone.

    Each RESIDUE (ALA, GLY, ...) is capped to ACE-X-NME and sampled with Amber ff14SB in an implicit solvent.
    Any other molecule is sampled in the system that --system and --structure give. Writes one shard for each
    molecule and, at the end, a manifest. Run it again to go on after an interruption, or to add residues.
    """
    from molebm.preparation.exchange_runs import ExchangeSettings
    from molebm.preparation.openmm_samples import prepare_openmm as prepare_shards

    molecules, force_field = _molecules(residues, solvent, hold_out, system, structure)
    settings = ExchangeSettings(
        force_field, temperatures, n_runs=runs, n_frames=frames, between_frames=between, platform=platform, seed=seed
    )
    failures = []
    with progress("sampling", total=runs * len(molecules), unit="run", quiet=quiet) as advance:
        for done in prepare_shards(molecules, output, settings, resolve_threads(threads)):
            advance(done.n_runs)
            if done.failed:
                failures.append(done.failed)
                tell_failure(done.failed.name, done.failed.source, done.failed.reason, "")
                tell(f"{done.failed.name}: {done.failed.reason}")
            elif done.acceptance and not quiet:
                tell(f"{done.name}: swaps accepted {' '.join(f'{a:.2f}' for a in done.acceptance)}")
    count(molecules=len(molecules) - len(failures), failed=len(failures))
    tell(f"{len(molecules) - len(failures)} of {len(molecules)} molecules sampled in '{output}'")
    return 1 if failures else 0


def _molecules(
    residues: tuple[str, ...], solvent: str, hold_out: tuple[str, ...], system: Path | None, structure: Path | None
) -> tuple[list[OpenMMMolecule], str]:
    """Build or read what is to be sampled, and name its force field."""
    from molebm.preparation.openmm_input import dipeptide, read_system

    if (system is None) != (structure is None):
        raise RequestError("--system and --structure belong together; give both")
    if (system is None) == (not residues):
        raise RequestError("name residues, or give --system and --structure, and not both")
    if system is not None and structure is not None:
        return [read_system(system, structure)], str(system)
    if strange := sorted(set(hold_out) - set(residues)):
        raise RequestError(f"--hold-out {strange[0]} is none of the residues; name it among them")
    names = list(dict.fromkeys(residues))
    return [dipeptide(n, solvent, "test" if n in hold_out else "train") for n in names], f"ff14SB, {solvent}"
