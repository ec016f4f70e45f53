"""How well novelty tells molecules of a library from foreign chemistry, beside the nearest neighbour.

    python workflows/benchmarks/family_novelty.py LIBRARY.smi

The library is split by scaffold: what `molebm score --library` knows is all but the test scaffolds; those are the
known molecules, and mutants of others of them, random graphs, lipids and silanes are foreign. Prints two Markdown
tables: areas under the ROC curve with their standard errors, and the share of known molecules that p-values flag.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from itertools import islice

import click
import numpy as np
import torch
from conformer_measures import table
from family_measures import area
from foreign_chemistry import foreign_sets
from rdkit import Chem, RDLogger

from molebm.chem.circles import circles
from molebm.chem.fingerprints import Maccs, Morgan
from molebm.chem.reading import read_molecules
from molebm.family.features import Features
from molebm.family.rbm import RbmConfig, RestrictedBoltzmannMachine
from molebm.family.run import fit
from molebm.plausibility.newness import unseen_circles
from molebm.plausibility.novelty import Library
from molebm.preparation.scaffolds import scaffold_split

Statistic = Callable[[Chem.Mol], float]


@click.command()
@click.argument("library", type=click.Path(exists=True))
@click.option("--most", default=None, type=int, help="Molecules, from the beginning of the file; all if left out.")
@click.option("--machines/--no-machines", default=True, show_default=True, help="Over fingerprints, too.")
@click.option("--known", default=600, show_default=True, help="Molecules of unseen scaffolds.")
@click.option("--seed", default=0, show_default=True)
def main(library: str, most: int | None, machines: bool, known: int, seed: int) -> None:
    """Print the tables."""
    RDLogger.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    mols = [record.mol for record in islice(read_molecules(library), most) if record.mol is not None]
    splits = [scaffold_split(mol) for mol in mols]
    trained = [mol for mol, split in zip(mols, splits, strict=True) if split != "test"]
    unseen = [mol for mol, split in zip(mols, splits, strict=True) if split == "test"]
    random.Random(seed).shuffle(unseen)
    begun = time.process_time()
    novel = Library(trained, seed)
    seconds = time.process_time() - begun
    sets = {"known": unseen[:known], **foreign_sets(unseen[known : 2 * known], seed)}
    print(f"{len(trained)} molecules read into the library in {seconds:.0f} s\n")
    found = {
        name: {label: np.array([statistic(mol) for mol in of]) for label, of in sets.items()}
        for name, statistic in statistics(novel, trained, machines).items()
    }
    foreign = [label for label in sets if label != "known"]
    rows = [(name, *(area(scores["known"], scores[label]) for label in foreign)) for name, scores in found.items()]
    print(table(("statistic", *(f"{label} ({len(sets[label])})" for label in foreign)), rows))
    p_values = -found["both together (`novelty_p_value`)"]["known"]
    shares = [f"{100 * np.mean(p_values <= level):.1f} %" for level in (0.01, 0.05, 0.1)]
    print("\n" + table(("p-value at most", "0.01", "0.05", "0.1"), [("share of known molecules", *shares)]))


def statistics(novel: Library, trained: list[Chem.Mol], machines: bool) -> dict[str, Statistic]:
    """Name statistics, the higher the newer."""
    cache: dict[int, tuple[float, float]] = {}

    def judged(mol: Chem.Mol) -> tuple[float, float]:
        if id(mol) not in cache:
            found = novel.novelty(mol)
            cache[id(mol)] = found.score, found.p_value
        return cache[id(mol)]

    def machine_over(fingerprint: Morgan | Maccs) -> Statistic:
        bits = torch.stack([fingerprint.bits(mol) for mol in trained])
        data = Features({"x": bits}, ["train"] * len(bits), [""] * len(bits), {})
        machine = fit(
            RestrictedBoltzmannMachine, RbmConfig(hidden=64, objective="pcd", n_steps=1, updates=1000), data
        ).requires_grad_(False)
        return lambda mol: float(machine.energy(fingerprint.bits(mol).float()[None]))

    found = {
        "nearest neighbour, 1 - Tanimoto": novel.distance,
        "number of unseen surroundings": lambda mol: float(len(unseen_circles(circles(mol), novel.seen, own=0))),
        "RBM over unseen surroundings (`novelty_score`)": lambda mol: judged(mol)[0],
        "both together (`novelty_p_value`)": lambda mol: -judged(mol)[1],
    }
    if not machines:
        return found
    return {
        **found,
        "RBM over MACCS keys": machine_over(Maccs()),
        "RBM over 1024 Morgan bits": machine_over(Morgan()),
    }


if __name__ == "__main__":
    main()
