"""What the workflow costs over a plain loop, at shards of a given length.

    python workflows/benchmarks/hpc_overhead.py --shards 16 --seconds 60 --at-once 4

In place of `molebm` stands a command that sleeps and writes empty files, so that all that is measured is Snakemake with
the rules, profile and processes of workflows/Snakefile on one machine; scores are left out. The loop is the same
commands by xargs. Prints a table in Markdown: wall time, and the processor time of all processes.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import click

WORKFLOWS = Path(__file__).resolve().parents[1]
STAND_IN = """#!/bin/sh
if [ "$1" = generate ]; then sleep {seconds}; fi
while [ $# -gt 0 ]; do
    case $1 in -o | --table | --report) : >"$2" ;; esac
    shift
done
"""


@click.command()
@click.option("--shards", default=16, show_default=True)
@click.option("--seconds", default=60.0, show_default=True, help="That a shard takes.")
@click.option("--at-once", default=4, show_default=True, help="Shards side by side.")
def main(shards: int, seconds: float, at_once: int) -> None:
    """Run both and compare."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        command = folder / "bin" / "molebm"
        command.parent.mkdir()
        command.write_text(STAND_IN.format(seconds=seconds))
        command.chmod(0o755)
        (folder / "in.smi").write_text("C\n")
        (folder / "config.yaml").write_text(f"{{input: in.smi, shards: {shards}, score: {{wanted: false}}}}\n")
        loop = f"seq {shards} | xargs -P {at_once} -I N molebm generate in.smi -o N.sdf.gz && molebm merge -o merged"
        plain = measured(["sh", "-c", loop], folder)
        snakemake = [sys.executable, "-m", "snakemake", "-s", str(WORKFLOWS / "Snakefile"), "--quiet", "all"]
        snakemake += ["--workflow-profile", str(WORKFLOWS / "profiles" / "local"), "--cores", str(at_once)]
        workflow = measured([*snakemake, "--configfile", "config.yaml"], folder)
    print(f"| {shards} shards of {seconds:g} s, {at_once} at once | wall, s | processor, s | of a shard, processor |")
    print("| --- | --: | --: | --: |")
    for title, (wall, processor) in (("plain loop", plain), ("workflow", workflow)):
        print(f"| {title} | {wall:.1f} | {processor:.1f} | {processor / shards:.2f} |")
    more, busier = workflow[0] - plain[0], workflow[1] - plain[1]
    print(f"| overhead | {more / plain[0]:.1%} | {busier / (shards * seconds):.2%} of the time of the shards | |")


def measured(command: list[str], folder: Path) -> tuple[float, float]:
    """Return wall and processor time, s."""
    path = os.pathsep.join([str(folder / "bin"), os.environ["PATH"]])
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, cwd=folder, env={**os.environ, "PATH": path}, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    used = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.perf_counter() - begun, used


if __name__ == "__main__":
    main()
