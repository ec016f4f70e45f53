"""Structures scored in a core-second, with and without strain, and the memory that a longer file takes.

python workflows/benchmarks/scoring_speed.py STRUCTURES.sdf --repeats 10
"""

from __future__ import annotations

import itertools
import resource
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import click
import torch
from conformer_measures import table

from molebm.chem.reading import Record, read_molecules
from molebm.parametrise import LEARNED, named_energy
from molebm.plausibility.scoring import ScoringSettings, score_records

WARM_UP = 64  # records
PASSES = 4  # over the file, of which the fastest counts: other programs share the caches


@click.command()
@click.argument("structures", type=click.Path(exists=True, path_type=Path))
@click.option("--repeats", default=10, show_default=True, help="How often the file is read again for the memory.")
def main(structures: Path, repeats: int) -> None:
    """Print a table in Markdown; one thread."""
    torch.set_num_threads(1)
    energy = named_energy(LEARNED)
    rows = []
    for with_strain in (False, True):
        settings = ScoringSettings(with_strain=with_strain)
        list(score_records(itertools.islice(read_molecules(structures), WARM_UP), energy, settings))
        seconds = float("inf")
        for _ in range(PASSES):
            start = time.process_time()
            n = sum(1 for _ in score_records(read_molecules(structures), energy, settings))
            seconds = min(seconds, time.process_time() - start)
        rows.append(["with strain" if with_strain else "local channels", str(n), f"{n / seconds:.0f}"])
    click.echo(table(("channels", "structures", "per core-second"), rows))

    rows = []
    for times in (1, repeats):
        settings = ScoringSettings(with_strain=False)
        slowest, n, last = 0.0, 0, time.perf_counter()
        for _ in score_records(_again(structures, times), energy, settings):
            now = time.perf_counter()
            slowest, n, last = max(slowest, now - last), n + 1, now
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append([str(n), f"{peak:.0f}", f"{slowest:.1f}"])
    click.echo("\n" + table(("structures", "peak memory, MB", "longest wait for a score, s"), rows))


def _again(structures: Path, times: int) -> Iterator[Record]:
    records = itertools.chain.from_iterable(read_molecules(structures) for _ in range(times))
    return (replace(record, index=index) for index, record in enumerate(records))


if __name__ == "__main__":
    main()
