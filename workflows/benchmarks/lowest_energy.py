"""Which finds the lower energy in equal processor time: `molebm generate`, or ETKDGv3 with MMFF94.

    python workflows/benchmarks/lowest_energy.py --molecules 40 --conformers 50

For each molecule molebm makes conformers, and ETKDGv3 + MMFF94 goes on making them in RDKit until it has had at least
as many core-seconds. The conformers of both with the declared stereo are then relaxed to the end, in MMFF94 by RDKit
and in the learned energy, and the lowest of each are compared in one and the same energy. That last relaxation is
counted for neither.
"""

from __future__ import annotations

import argparse
import random
import sys
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from conformer_measures import table, wrong_stereo
from conformer_peers import ETKDG_MMFF, Made, embedded, generated, generation_settings
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.reading import read_molecules
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.parametrise import named_energy
from molebm.samplers.minimise import minimise

DRUGS: Final = Path(__file__).resolve().parents[2] / "data" / "drugs.smi"
BLOCK: Final = 10  # conformers that RDKit makes between two looks at the clock
TIE: Final = 0.1  # kcal/mol
STEPS: Final = 5000  # of either relaxation, at most
TOLERANCE: Final = 0.02  # kcal/mol/Å, of the relaxation in the learned energy
ENERGIES: Final = ("MMFF94", "learned")


class Search(NamedTuple):
    """What a method found for one molecule."""

    lowest: tuple[float, float]  # kcal/mol, in each of ENERGIES
    made: int
    seconds: float


def main() -> None:
    options = _options()
    pairs: list[tuple[Search, Search]] = []
    failed = []
    smiles = _smiles(options)
    for number, one in enumerate(smiles, start=1):
        settings = generation_settings(options.set, n_conformers=options.conformers, seed=options.seed)
        ours = next(iter(generated([one], settings)))
        theirs = _embedded_for(one, ours.seconds, options.seed)
        if ours.reason or theirs.reason:
            failed.append(f"- {one}: molebm: {ours.reason or 'done'}; {ETKDG_MMFF}: {theirs.reason or 'done'}")
        else:
            pairs.append((_search(one, ours), _search(one, theirs)))
        print(f"{number} of {len(smiles)}: {ours.seconds:.1f} s", file=sys.stderr, flush=True)
    if pairs:
        _report(pairs, options)
    if failed:
        print("\nFailed, and left out:\n\n" + "\n".join(failed))


def _embedded_for(smiles: str, seconds: float, seed: int) -> Made:
    """Embed and relax block after block until the time is up."""
    found = embedded(smiles, [BLOCK], seed=seed, relax=True)[ETKDG_MMFF, BLOCK]
    mol, spent, blocks = Chem.Mol(found.mol), found.seconds, 1
    while spent < seconds and not found.reason:
        more = embedded(smiles, [BLOCK], seed=seed + 1000 * blocks, relax=True)[ETKDG_MMFF, BLOCK]
        for conformer in more.mol.GetConformers():
            mol.AddConformer(conformer, assignId=True)
        spent += more.seconds
        blocks += 1
    return Made(mol, spent, found.reason)


def _search(smiles: str, made: Made) -> Search:
    mol = Chem.Mol(made.mol)
    for index, wrong in zip([c.GetId() for c in made.mol.GetConformers()], wrong_stereo(smiles, mol), strict=True):
        if wrong:
            mol.RemoveConformer(index)
    if mol.GetNumConformers() == 0:
        return Search((np.inf, np.inf), made.mol.GetNumConformers(), made.seconds)
    return Search((_lowest_mmff94(mol), _lowest_learned(mol)), made.mol.GetNumConformers(), made.seconds)


def _lowest_mmff94(mol: Chem.Mol) -> float:
    relaxed = rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(Chem.Mol(mol), maxIters=STEPS)
    return min(energy for _, energy in relaxed)


def _lowest_learned(mol: Chem.Mol) -> float:
    topology = topology_from_mol(mol)
    energy_fn = MechanicalEnergy(topology, named_energy("learned").parametrise([mol], topology))
    minimum = minimise(energy_fn, topology, positions_from_mol(mol), force_tolerance=TOLERANCE, max_steps=STEPS)
    return float(minimum.energy.nan_to_num(nan=torch.inf).min())


def _report(pairs: list[tuple[Search, Search]], options: argparse.Namespace) -> None:
    rows = []
    for index, energy in enumerate(ENERGIES):
        difference = np.array([ours.lowest[index] - theirs.lowest[index] for ours, theirs in pairs])
        lower, higher = difference < -TIE, difference > TIE
        shares = [f"{100 * kind.mean():.0f}" for kind in (lower, ~lower & ~higher, higher)]
        spread = [f"{value:+.2f}" for value in np.quantile(difference, [0.1, 0.25, 0.5, 0.75, 0.9])]
        rows.append([energy, *shares, f"{difference.mean():+.2f}", *spread])
    percentiles = [f"{percent} %" for percent in (10, 25, 50, 75, 90)]
    head = ("energy", "molebm lower, %", "tie, %", f"{ETKDG_MMFF} lower, %", "mean difference", *percentiles)
    print(table(head, rows) + "\n")
    rows = []
    for index, method in enumerate((f"molebm, {options.conformers} asked", ETKDG_MMFF)):
        searches = [pair[index] for pair in pairs]
        conformers, seconds = sum(s.made for s in searches), sum(s.seconds for s in searches)
        rows.append([method, str(conformers), f"{seconds:.1f}"])
    print(table(("method", "conformers", "core-s"), rows))
    print(
        f"\n{len(pairs)} molecules. Differences and their percentiles are molebm's lowest energy less that of "
        f"{ETKDG_MMFF}, kcal/mol: below zero molebm's is lower. A tie is within {TIE} kcal/mol. "
        f"molebm: {' '.join(options.set) or 'default settings'}."
    )


def _smiles(options: argparse.Namespace) -> list[str]:
    mols = [record.mol for record in read_molecules(options.input) if record.mol is not None]
    random.Random(options.seed).shuffle(mols)
    return [Chem.MolToSmiles(mol) for mol in mols[: options.molecules]]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--input", type=Path, default=DRUGS, help="molecules (default: data/drugs.smi)")
    parser.add_argument("--molecules", type=int, default=40, help="a random choice of so many")
    parser.add_argument("--conformers", type=int, default=50, help="asked of molebm, whose time both have")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="of molebm's settings")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
