"""Whether anything is lost, doubled or different when the jobs of a sharded run are killed at random.

    python workflows/benchmarks/hpc_bookkeeping.py LIBRARY.smi --molecules 10000 --shards 50 --kills 20
    python workflows/benchmarks/hpc_bookkeeping.py LIBRARY.smi --molecules 200 --shards 20 --kills 20 --computed

Each shard is a process that runs `molebm generate --shard ... --resume`, and is run again until it ends by itself; the
signals are SIGKILL and SIGTERM in turn. Without --computed a stand-in makes conformers up: what is tested is the way of
the results, and not the search. The reference is one process that does the whole input and is left alone. Prints a
table in Markdown.
"""

from __future__ import annotations

import gzip
import os
import random
import signal
import tempfile
import time
from collections import Counter
from itertools import islice
from pathlib import Path

import click
from hpc_stand_in import made_up

from molebm.chem.reading import count_molecules
from molebm.cli.main import cli
from molebm.conformers import computing, generation
from molebm.parametrise import named_energy

TERMINATED = 128 + signal.SIGTERM
AT_ONCE = 4  # processes
TICK = 0.02  # s
ALONE = 10**9  # units done without a further process, which would have to load all modules again


@click.command()
@click.argument("library", type=click.Path(exists=True, path_type=Path))
@click.option("--molecules", default=10_000, show_default=True)
@click.option("--shards", default=50, show_default=True)
@click.option("--kills", default=20, show_default=True)
@click.option("--computed", is_flag=True, help="Real conformers, one of each molecule.")
@click.option("--seconds", default=0.005, show_default=True, help="Slept for each molecule that is made up.")
@click.option("--seed", default=0, show_default=True, help="Of the kills.")
def main(library: Path, molecules: int, shards: int, kills: int, computed: bool, seconds: float, seed: int) -> None:
    """Run, kill, merge and compare."""
    generation._SHORT = ALONE
    if computed:
        named_energy("mmff94")
    else:
        computing.generate_batch = made_up(seconds)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = folder / "in.smi"
        with library.open() as lines:
            source.write_text("".join(islice((line for line in lines if line.strip()), molecules)))
        run = ["generate", str(source), "-n", "1", "--energy", "mmff94", "--device", "cpu", "--threads", "1", "--quiet"]
        run += ["--time-limit", "100000"]
        whole = folder / "whole.sdf.gz"
        begun = time.perf_counter()
        wait(start([*run, "-o", str(whole)]))
        parts = {number: folder / f"part-{number}.sdf.gz" for number in range(1, shards + 1)}
        jobs = {
            number: [*run, "-o", str(part), "--shard", f"{number}/{shards}", "--resume"]
            for number, part in parts.items()
        }
        signals, resumed = under_fire(jobs, parts, kills, random.Random(seed))
        merged = folder / "merged.sdf.gz"
        command = ["merge", *map(str, parts.values()), "-o", str(merged), "--input", str(source), "--quiet"]
        code = wait(start([*command, "--shards", str(shards)]))
        if code not in {0, 1}:
            raise click.ClickException(f"the merge was refused with exit code {code}")
        report(source, whole, merged, shards, signals, resumed, time.perf_counter() - begun)


def under_fire(
    jobs: dict[int, list[str]], parts: dict[int, Path], kills: int, choice: random.Random
) -> tuple[Counter[str], int]:
    """Run all jobs to their end and kill so many of those that run, at random moments."""
    waiting, running, signals, resumed = list(jobs), {}, Counter(), 0
    left = [(signal.SIGKILL, signal.SIGTERM)[n % 2] for n in range(kills)]
    probability = 2 * kills / (len(jobs) / AT_ONCE * 100)
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            number = waiting.pop(0)
            resumed += parts[number].with_name(f".{parts[number].name}.journal").exists()
            running[start(jobs[number])] = number
        time.sleep(TICK)
        if left and running and choice.random() < probability:
            os.kill(choice.choice(list(running)), left[-1])
            time.sleep(TICK)
        for process in list(running):
            ended, status = os.waitpid(process, os.WNOHANG)
            if not ended:
                continue
            number = running.pop(process)
            code = os.waitstatus_to_exitcode(status)
            if code in {-signal.SIGKILL, -signal.SIGTERM, TERMINATED}:
                signals[signal.Signals(-code if code < 0 else code - 128).name] += 1
                left = left[:-1]
                waiting.append(number)
            elif code not in {0, 1}:
                raise click.ClickException(f"shard {number} ended with exit code {code}")
    return signals, resumed


def start(command: list[str]) -> int:
    """Run a command of molebm in a process of its own, which has the modules of this one."""
    process = os.fork()
    if process == 0:
        try:
            cli(command, prog_name="molebm", standalone_mode=True)
            os._exit(0)
        except SystemExit as end:
            os._exit(end.code if isinstance(end.code, int) else 1)
        finally:
            os._exit(70)
    return process


def wait(process: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])


def report(
    source: Path, whole: Path, merged: Path, shards: int, signals: Counter[str], resumed: int, seconds: float
) -> None:
    """Count what is lost, doubled and different, and print it."""
    reference, found = records_of(whole), records_of(merged)
    n_inputs = count_molecules(source)
    lost = sum(record not in found for record in range(n_inputs))
    doubled = sum(len(texts) > 1 for texts in found.values())
    different = sum(found.get(record) != reference.get(record) for record in range(n_inputs))
    same = whole.read_bytes() == merged.read_bytes()
    told = ", ".join(f"{count} × {name}" for name, count in sorted(signals.items()))
    print("| molecules | shards | killed | gone on with from a journal | lost | doubled | different | same bytes | s |")
    print("| --: | --: | --- | --: | --: | --: | --: | --- | --: |")
    print(
        f"| {n_inputs:,} | {shards} | {told} | {resumed} | {lost} | {doubled} | {different} | "
        f"{'yes' if same else 'no'} | {seconds:.0f} |"
    )


def records_of(sdf: Path) -> dict[int, list[str]]:
    """Texts of each input: one of all its conformers if they stand together, and one of its failures."""
    found: dict[int, list[str]] = {}
    last = None
    for text in gzip.decompress(sdf.read_bytes()).decode().split("$$$$\n")[:-1]:
        record = int(text.rpartition("<input_record>\n")[2].split("\n")[0])
        if record == last:
            found[record][-1] += text
        else:
            found.setdefault(record, []).append(text)
        last = record
    failures = sdf.with_name(sdf.name.removesuffix(".sdf.gz") + ".failures.csv")
    if failures.exists():
        for row in failures.read_text().splitlines()[1:]:
            found.setdefault(int(row.partition(",")[0]), []).append(row)
    return found


if __name__ == "__main__":
    main()
