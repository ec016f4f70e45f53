"""Peak memory of `molebm generate` and `molebm score` against the number of molecules.

    python workflows/benchmarks/hpc_memory.py --generate 1000,10000,100000 --score 1000,10000

Each run is a process of its own that begins with all modules loaded. Conformers are made up by a stand-in, as what
is looked at is what grows with the input: reading, holding back, compressing, journals, tables. Structures are
scored in earnest, without strain. Prints a table in Markdown.
"""

from __future__ import annotations

import itertools
import os
import tempfile
import time
from pathlib import Path

import click
from hpc_bookkeeping import start
from hpc_stand_in import made_up

from molebm.conformers import computing, generation
from molebm.conformers.workers import in_this_process
from molebm.parametrise import named_energy
from molebm.plausibility import scoring

SMALL = ["CO", "CCO", "CC(C)O", "CC#N", "CC=O", "CCN", "COC", "CCC", "C1CC1", "CS"]


@click.command()
@click.option("--generate", "generated", default="1000,10000,100000", show_default=True, help="Numbers of molecules.")
@click.option("--score", "scored", default="1000,10000", show_default=True, help="Numbers of structures.")
def main(generated: str, scored: str) -> None:
    """Run and print."""
    generation.in_processes = lambda units, job, n_processes: in_this_process(units, job)  # which is measured
    computing.generate_batch = made_up(0.0)
    named_energy("learned")
    scoring.load_calibration()
    print("| command | molecules | peak memory, MB | s |")
    print("| --- | --: | --: | --: |")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in map(int, filter(None, generated.split(","))):
            source = folder / f"{number}.smi"
            source.write_text("".join(f"{smiles}\n" for smiles in itertools.islice(itertools.cycle(SMALL), number)))
            run = ["generate", str(source), "-o", str(folder / f"{number}.sdf.gz"), "--device", "cpu", "--threads", "1"]
            told("generate", number, [*run, "--quiet"])
        for number in map(int, filter(None, scored.split(","))):
            source = folder / f"scored-{number}.sdf"
            one = structures()
            source.write_text("".join(itertools.islice(itertools.cycle(one), number)))
            run = ["score", str(source), "-o", str(folder / f"{number}.csv"), "--no-strain", "--device", "cpu"]
            told("score", number, [*run, "--threads", "1", "--quiet"])


def structures() -> list[str]:
    """Records of an SDF, embedded and relaxed."""
    from rdkit import Chem
    from rdkit.Chem import AllChem

    found = []
    for smiles in SMALL:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        AllChem.EmbedMolecule(mol, randomSeed=7)
        AllChem.MMFFOptimizeMolecule(mol)
        found.append(f"{smiles}{Chem.MolToMolBlock(mol)}$$$$\n")
    return found


def told(command: str, number: int, arguments: list[str]) -> None:
    """Run one command and print its row."""
    begun = time.perf_counter()
    _, status, used = os.wait4(start(arguments), 0)
    if os.waitstatus_to_exitcode(status) not in {0, 1}:
        raise click.ClickException(f"{command} of {number} ended with exit code {os.waitstatus_to_exitcode(status)}")
    seconds = time.perf_counter() - begun
    print(f"| {command} | {number:,} | {used.ru_maxrss / 1024:.0f} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main()
