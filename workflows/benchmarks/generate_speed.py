"""Conformers per core-second of `molebm generate` against RDKit's ETKDGv3, alone and with MMFF94, in one run.

    python workflows/benchmarks/generate_speed.py --molecules 40 --conformers 20

One process and one thread; processor time, so that a busy machine disturbs less. Warming up (loading the
model, compiling where there is no kernel in C) is told apart. Distinct are conformers farther than 0.5 Å
from each other and within 10 kcal/mol of the lowest, by one and the same code for all three methods.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from molebm.chem.reading import read_molecules
from molebm.conformers import Ensemble, GenerationSettings, generate_ensembles
from molebm.conformers.selection import distinct_conformers

T = TypeVar("T")
DRUGS = Path(__file__).resolve().parents[2] / "data" / "drugs.smi"
RMSD, WINDOW = 0.5, 10.0


class Made(NamedTuple):
    """What a method made of one molecule."""

    mol: Chem.Mol
    energies: np.ndarray  # (C,) kcal/mol; all zero where the method has none


def main() -> None:
    options = _options()
    mols = _molecules(options)
    few = GenerationSettings(n_conformers=2, energy=options.energy)
    seconds, _ = _timed(lambda: list(generate_ensembles(mols[:1], few)))
    atoms = np.mean([mol.GetNumAtoms() for mol in mols])
    print(f"{len(mols)} molecules of {atoms:.0f} atoms, {options.conformers} conformers asked of each")
    print(f"molebm warmed up in {seconds:.1f} core-seconds, not counted below\n")
    methods: dict[str, Callable[[], list[Made]]] = {
        "ETKDGv3": lambda: [_rdkit(mol, options, relax=False) for mol in mols],
        "ETKDGv3 + MMFF94": lambda: [_rdkit(mol, options, relax=True) for mol in mols],
        f"molebm generate ({options.energy})": lambda: _molebm(mols, options),
    }
    rows = {}
    for name, method in methods.items():
        seconds, made = _timed(method)
        n_made = sum(len(one.energies) for one in made)
        n_distinct = sum(_distinct(one) for one in made)
        rows[name] = (seconds, n_made, n_distinct, n_made / seconds, n_distinct / seconds)
    reference = rows["ETKDGv3 + MMFF94"]
    print("| method | core-s | conformers | distinct | conformers/core-s | ratio | distinct/core-s | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|---:|")
    for name, (seconds, n_made, n_distinct, speed, distinct_speed) in rows.items():
        print(
            f"| {name} | {seconds:.1f} | {n_made} | {n_distinct} | {speed:.1f} | {speed / reference[3]:.2f} "
            f"| {distinct_speed:.1f} | {distinct_speed / reference[4]:.2f} |"
        )


def _rdkit(mol: Chem.Mol, options: argparse.Namespace, *, relax: bool) -> Made:
    mol = Chem.AddHs(mol)
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = options.seed + 1  # the multiples of 0, which RDKit would use, are one seed
    rdDistGeom.EmbedMultipleConfs(mol, options.conformers, parameters)
    energies = np.zeros(mol.GetNumConformers())
    if relax:
        relaxed = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=options.mmff_steps)
        energies = np.array([energy for _, energy in relaxed])
    return Made(mol, energies)


def _molebm(mols: list[Chem.Mol], options: argparse.Namespace) -> list[Made]:
    settings = GenerationSettings(n_conformers=options.conformers, energy=options.energy, seed=options.seed)
    outcomes = generate_ensembles(mols, settings)
    return [Made(found.mol, found.energies) for found in outcomes if isinstance(found, Ensemble)]


def _distinct(made: Made) -> int:
    if not len(made.energies):
        return 0
    positions = np.stack([conformer.GetPositions() for conformer in made.mol.GetConformers()])
    return len(
        distinct_conformers(
            made.mol, positions, made.energies, rmsd=RMSD, energy_window=WINDOW, n_conformers=len(positions)
        )
    )


def _timed(work: Callable[[], T]) -> tuple[float, T]:
    begin = time.process_time()
    result = work()
    return time.process_time() - begin, result


def _molecules(options: argparse.Namespace) -> list[Chem.Mol]:
    mols = [record.mol for record in read_molecules(options.input) if record.mol is not None]
    random.Random(options.seed).shuffle(mols)
    return mols[: options.molecules]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, default=DRUGS, help="molecules (default: data/drugs.smi)")
    parser.add_argument("--molecules", type=int, default=40, help="a random choice of so many")
    parser.add_argument("--conformers", type=int, default=20, help="asked of each method for each molecule")
    parser.add_argument("--energy", default="learned", choices=["learned", "mmff94", "mmff94s"])
    parser.add_argument("--mmff-steps", type=int, default=200, help="of RDKit's minimiser, whose default is 200")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
