"""Make the calibration of the plausibility scores that ships with the package.

python workflows/calibrate.py CRYSTALS.sdf... --smiles SMILES.smi -o molebm/plausibility/calibration.json

What is usual in each environment is learned from the crystal structures. The other sources are made here, of
molecules drawn from the SMILES: generated (`molebm generate`), minimised (ETKDGv3, then MMFF94), md (MMFF94 Langevin
dynamics at 300 K) and docked (minimised structures whose bonds are turned at random and not relaxed, as docking does).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import click
import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import AllChem

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.reading import read_molecules
from molebm.conformers import generate
from molebm.errors import MolebmError
from molebm.forcefield.parameters import in_medium
from molebm.parametrise import NamedEnergy, mmff, named_energy
from molebm.plausibility.calibrating import calibrate, learn_calibration
from molebm.plausibility.calibration import to_json
from molebm.samplers.engines import make_engine
from molebm.units import thermal_energy

LARGEST = 100  # atoms
TEMPERATURE = 300.0  # K
MD_STEPS = 2500  # of 2 fs
OF_EACH = 1  # perturbed structure made with every kind of move of each that was made here
TURNING_KT, TURNS = 1.0, 300  # kcal/mol, and proposals


@click.command()
@click.argument("crystals", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option(
    "--smiles", required=True, type=click.Path(exists=True, path_type=Path), help="Molecules to make others of."
)
@click.option("--number", default=600, show_default=True, help="How many of them.")
@click.option("--seed", default=0, show_default=True)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path))
def main(crystals: Sequence[Path], smiles: Path, number: int, seed: int, output: Path) -> None:
    """Score trusted structures of all sources and write the calibration."""
    torch.set_num_threads(1)
    energy = named_energy("learned")
    trusted = [record.mol for path in crystals for record in read_molecules(path) if record.mol is not None]
    names = ", ".join(path.name for path in crystals)
    found = learn_calibration(trusted, energy, source="crystal", provenance=f"ligands of {names}", seed=seed)
    click.echo(f"crystal: {found.sources['crystal'].n}")
    drawn = drawn_molecules(smiles, seed)[:number]
    for source, (make, provenance) in SOURCES.items():
        mols = [made for mol in drawn if (made := made_structure(make, mol, energy)) is not None]
        where = f"{provenance}, of molecules drawn from {smiles.name}"
        found = calibrate(mols, energy, found, source=source, provenance=where, n_perturbed=OF_EACH)
        click.echo(f"{source}: {found.sources[source].n}")
    output.write_text(json.dumps(to_json(found)), encoding="utf-8")


def drawn_molecules(smiles: Path, seed: int) -> list[Chem.Mol]:
    """Read molecules of one piece and of no more than `LARGEST` atoms, in random order."""
    mols = [record.mol for record in read_molecules(smiles) if record.mol is not None]
    whole = [Chem.AddHs(mol) for mol in mols if len(Chem.GetMolFrags(mol)) == 1]
    small = [mol for mol in whole if mol.GetNumAtoms() <= LARGEST]
    return [small[place] for place in np.random.default_rng(seed).permutation(len(small))]


def made_structure(
    make: Callable[[Chem.Mol, NamedEnergy], Chem.Mol], mol: Chem.Mol, energy: NamedEnergy
) -> Chem.Mol | None:
    """Make a structure of a molecule, or None where that fails."""
    try:
        return make(mol, energy)
    except MolebmError:
        return None


def generated(mol: Chem.Mol, energy: NamedEnergy) -> Chem.Mol:
    (found,) = generate(Chem.MolToSmiles(Chem.RemoveAllHs(mol)), n_conformers=1)
    return Chem.Mol(found, confId=found.GetConformer().GetId())


def minimised(mol: Chem.Mol, energy: NamedEnergy) -> Chem.Mol:
    copy = Chem.Mol(mol)
    settings = AllChem.ETKDGv3()
    settings.randomSeed = 1
    settings.maxIterations = 5
    if AllChem.EmbedMolecule(copy, settings) != 0 or AllChem.MMFFOptimizeMolecule(copy, maxIters=5000) < 0:
        raise MolebmError("it cannot be embedded or typed")
    return copy


def moved(mol: Chem.Mol, energy: NamedEnergy, *, docked: bool) -> Chem.Mol:
    """Follow a minimised structure at 300 K in MMFF94, or turn its bonds in the learned energy."""
    copy = minimised(mol, energy)
    topology = topology_from_mol(copy)
    x = positions_from_mol(copy)
    if docked:
        medium = in_medium(energy.parametrise([copy], topology))
        engine = make_engine(topology, medium, "auto", 60.0)
        x = engine.turn_bonds(x, torch.full((TURNS,), TURNING_KT), [1]) if engine.n_rotors else x
    else:
        engine = make_engine(topology, mmff()([copy], topology), "auto", 60.0)
        x = engine.anneal(x, torch.full((MD_STEPS,), thermal_energy(TEMPERATURE)), [1])
    if not x.isfinite().all():
        raise MolebmError("it exploded")
    copy.GetConformer().SetPositions(x[:, :, 0].double().T.contiguous().numpy())
    return copy


SOURCES = {
    "generated": (generated, "conformers by `molebm generate` with its defaults, one each"),
    "minimised": (minimised, "ETKDGv3, then MMFF94 minimisation in a vacuum"),
    "md": (partial(moved, docked=False), f"MMFF94 Langevin dynamics, 5 ps at {TEMPERATURE:.0f} K in a vacuum"),
    "docked": (partial(moved, docked=True), "minimised structures with bonds turned at random in the learned energy"),
}


if __name__ == "__main__":
    main()
