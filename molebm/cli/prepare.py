"""`molebm prepare`: reference ensembles to train on."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from molebm.cli.log import count, tell, tell_failure
from molebm.cli.options import quiet_option, resolve_threads, seed_option, threads_option
from molebm.cli.progress import progress

EXAMPLES: Final = """\b
Examples:
  molebm prepare data/drugs.smi -o references --threads 2
  molebm prepare library.csv -o references --variant MMFF94s --max-atoms 60 --seed 1
"""


@click.command(epilog=EXAMPLES)
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to fill.")
@click.option(
    "--variant", type=click.Choice(["MMFF94", "MMFF94s"]), default="MMFF94", show_default=True, help="Of MMFF94."
)
@click.option("--chains", type=click.IntRange(min=1), default=8, show_default=True, help="At each temperature.")
@click.option("--frames", type=click.IntRange(min=1), default=2, show_default=True, help="Samples of each chain.")
@click.option("--max-atoms", type=click.IntRange(min=1), default=80, show_default=True, help="With hydrogens.")
@seed_option
@threads_option
@quiet_option
def prepare(
    source: str,
    output: Path,
    variant: str,
    chains: int,
    frames: int,
    max_atoms: int,
    seed: int,
    threads: int | None,
    quiet: bool,
) -> int:
    """Sample MMFF94 ensembles of the molecules in SOURCE at 300, 500 and 800 K.

    Writes shards to the output folder and, at the end, a manifest with checksums and the molecules
    that failed. Run it again to go on after an interruption: finished shards are kept.
    """
    from molebm.chem.reading import read_molecules
    from molebm.preparation.ensembles import EnsembleSettings
    from molebm.preparation.prepare import PreparationSettings
    from molebm.preparation.prepare import prepare as prepare_shards

    ensemble = EnsembleSettings(n_chains=chains, n_frames=frames)
    settings = PreparationSettings(ensemble=ensemble, variant=variant, max_atoms=max_atoms, seed=seed)
    total = sum(1 for _ in read_molecules(source))
    n_failed = 0
    with progress("preparing", total=total, unit="molecule", quiet=quiet) as advance:
        for shard in prepare_shards(read_molecules(source), output, settings, resolve_threads(threads)):
            n_failed += len(shard.failed)
            for failed in shard.failed:
                tell_failure(failed.name, failed.source, failed.reason, "")
            advance(shard.n_molecules + len(shard.failed))
    count(molecules=total - n_failed, failed=n_failed)
    tell(f"{total - n_failed} of {total} molecules prepared in '{output}'")
    return 1 if n_failed else 0
