"""Pick a training set from a SMILES file: everything with a rare element or a charge, and an even share of the rest.

python workflows/select_molecules.py LIBRARY.smi SELECTED.smi --count 2000
"""

from __future__ import annotations

import random
from pathlib import Path

import click
from rdkit import Chem, rdBase

from molebm.topology import ELEMENTS

COMMON = {1, 6, 7, 8}


@click.command()
@click.argument("library", type=click.Path(exists=True, path_type=Path))
@click.argument("selected", type=click.Path(path_type=Path))
@click.option("--count", default=2000, show_default=True, help="How many molecules to pick.")
@click.option("--max-atoms", default=70, show_default=True, help="Largest molecule, with hydrogens.")
@click.option("--rare-share", default=0.5, show_default=True, help="Share kept for rare elements and charges.")
@click.option("--seed", default=0, show_default=True)
def main(library: Path, selected: Path, count: int, max_atoms: int, rare_share: float, seed: int) -> None:
    """Write COUNT lines of LIBRARY to SELECTED, rarest chemistry first."""
    rdBase.DisableLog("rdApp.*")
    lines = [line for line in library.read_text().splitlines() if line and "." not in line.split()[0]]
    rarity: dict[str, float] = {}
    kinds = {line: kind for line in lines if (kind := _kinds(line.split()[0], max_atoms)) is not None}
    frequency: dict[str, int] = {}
    for found in kinds.values():
        for kind in found:
            frequency[kind] = frequency.get(kind, 0) + 1
    for line, found in kinds.items():
        rarity[line] = min((frequency[kind] for kind in found), default=len(lines))
    order = sorted(kinds, key=lambda line: rarity[line])
    rare = order[: round(count * rare_share)]
    rest = random.Random(seed).sample(order[len(rare) :], count - len(rare))
    picked = rare + rest
    random.Random(seed).shuffle(picked)
    selected.write_text("\n".join(picked) + "\n")
    click.echo(f"{len(picked)} molecules; of each kind in the library: {dict(sorted(frequency.items()))}")


def _kinds(smiles: str, max_atoms: int) -> set[str] | None:
    mol = Chem.MolFromSmiles(smiles)
    if mol is None or Chem.AddHs(mol).GetNumAtoms() > max_atoms:
        return None
    elements = {atom.GetAtomicNum() for atom in mol.GetAtoms()}
    if not elements <= set(ELEMENTS):
        return None
    kinds = {Chem.GetPeriodicTable().GetElementSymbol(z) for z in elements - COMMON}
    return kinds | {f"charge {a.GetFormalCharge():+d}" for a in mol.GetAtoms() if a.GetFormalCharge()}


if __name__ == "__main__":
    main()
