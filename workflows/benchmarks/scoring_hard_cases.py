"""Seconds that single large, strained, flexible and broken structures take to score, and what memory they take.

python workflows/benchmarks/scoring_hard_cases.py
"""

from __future__ import annotations

import resource
import time
from typing import Final

import click
import numpy as np
import torch
from conformer_measures import table
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rdkit.Geometry import Point3D

from molebm.parametrise import LEARNED, named_energy
from molebm.plausibility.scoring import ScoringSettings, score_records
from molebm.plausibility.structures import records_of

SMILES: Final = {
    "cubane": "C12C3C4C1C5C2C3C45",
    "prismane": "C12C3C1C4C2C34",
    "dodecahedrane, in a heap": "C12C3C4C5C1C6C7C2C8C3C9C4C%10C5C6C%11C7C8C9C%10C%11",
    "ring of 48 carbons": "C1" + "C" * 46 + "C1",
    "chain of 60 carbons": "C" * 60,
    "chain of 30 ethers": "O" + "CCO" * 30,
}
SEQUENCES: Final = {"peptide of 20 residues": "ACDEFGHIKLMNPQRSTVWY", "peptide of 60 residues": "A" * 60}
NOISE: Final = 1.0  # Å
ATTEMPTS: Final = 10  # of embedding, after which atoms are put down at random


@click.command()
def main() -> None:
    """Print a table in Markdown; one thread."""
    torch.set_num_threads(1)
    energy = named_energy(LEARNED)
    mols = {name: _placed(Chem.MolFromSmiles(smiles)) for name, smiles in SMILES.items()}
    mols |= {name: _placed(Chem.MolFromSequence(sequence)) for name, sequence in SEQUENCES.items()}
    peptide = mols["peptide of 20 residues"]
    for size, what in ((NOISE, f"the first peptide, moved by {NOISE:g} Å"), (1e3, "the same, torn apart")):
        mols[what] = _moved(peptide, size)
    rows = []
    for name, mol in mols.items():
        seconds = [_seconds(mol, energy, with_strain) for with_strain in (False, True)]
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        rows.append([name, str(mol.GetNumAtoms()), *(f"{value:.2f}" for value in seconds), f"{peak:.0f}"])
    headers = ("structure", "atoms", "local channels, core-seconds", "with strain", "peak memory until then, MB")
    click.echo(table(headers, rows))


def _seconds(mol: Chem.Mol, energy, with_strain: bool) -> float:
    start = time.process_time()
    (found,) = score_records(records_of([mol]), energy, ScoringSettings(with_strain=with_strain))
    if found.status != "ok":
        raise click.ClickException(found.status)
    return time.process_time() - start


def _placed(mol: Chem.Mol) -> Chem.Mol:
    """Embed, or put the atoms down at random where that does not succeed."""
    whole = Chem.AddHs(mol)
    settings = rdDistGeom.ETKDGv3()
    settings.randomSeed, settings.useRandomCoords, settings.maxIterations = 1, True, ATTEMPTS
    if rdDistGeom.EmbedMolecule(whole, settings) < 0:
        conformer = Chem.Conformer(whole.GetNumAtoms())
        conformer.Set3D(True)
        whole.AddConformer(conformer)
        return _moved(whole, whole.GetNumAtoms() ** (1 / 3))
    return whole


def _moved(mol: Chem.Mol, size: float) -> Chem.Mol:
    copy = Chem.Mol(mol)
    conformer = copy.GetConformer()
    noise = size * np.random.default_rng(0).normal(size=(copy.GetNumAtoms(), 3))
    for atom, place in enumerate((conformer.GetPositions() + noise).tolist()):
        conformer.SetAtomPosition(atom, Point3D(*place))
    return copy


if __name__ == "__main__":
    main()
