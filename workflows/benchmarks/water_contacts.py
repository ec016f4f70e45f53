"""Hold what a dissolved molecule shows to water against MMFF94, for pairs of a small molecule and one water.

First the distance of the van der Waals minimum with the oxygen of water, by MMFF94 and by the learned model; then the
lowest dimer by MMFF94 itself and by the Lennard-Jones form and TIP3P that `in_water` uses, each from the same starts.
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import NamedTuple

import click
import numpy as np
import openmm
import torch
from openmm import app, unit
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from scipy.spatial.transform import Rotation

import molebm
from molebm.chem.graph import topology_from_mol
from molebm.interop.molecular_energy import molecular_energy
from molebm.interop.openmm_ligand import ligand_template, water_contacts
from molebm.interop.openmm_molecules import openmm_topology
from molebm.interop.openmm_solution import WATER, replace_own_terms
from molebm.models.checkpoint import load_model
from molebm.topology import concatenate

MOLECULES = {
    "methanol": "CO",
    "N-methylacetamide": "CC(=O)NC",
    "acetone": "CC(C)=O",
    "pyridine": "c1ccncc1",
    "imidazole": "c1c[nH]cn1",
    "dimethyl ether": "COC",
    "methanethiol": "CS",
    "benzene": "c1ccccc1",
    "chloromethane": "CCl",
    "methylammonium": "C[NH3+]",
    "acetate": "CC(=O)[O-]",
}
TIP3P = np.array([[0.0, 0.0, 0.0], [0.9572, 0.0, 0.0], [-0.2400, 0.9266, 0.0]])  # Å


class Dimer(NamedTuple):
    """The lowest that was found."""

    energy: float  # kcal/mol, of interaction, the shapes of both relaxed
    distance: float  # Å, of the oxygen of water from the nearest heavy atom


@click.command()
@click.option("--starts", default=24, show_default=True, help="Places and orientations of water.")
def main(starts: int) -> None:
    """Print both tables in Markdown."""
    torch.set_num_threads(1)
    print("| atom | MMFF94, Å | learned, Å |\n|---|---|---|")
    for kind, (reference, learned) in contact_distances().items():
        print(f"| {kind} | {reference:.2f} | {learned:.2f} |")
    print(
        "\n| with one water | MMFF94, kcal/mol | in water, kcal/mol | MMFF94, Å | in water, Å |\n|---|---|---|---|---|"
    )
    for name, smiles in MOLECULES.items():
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        rdDistGeom.EmbedMolecule(mol, randomSeed=1)
        rdForceFieldHelpers.MMFFOptimizeMolecule(mol, maxIters=2000)
        ours, theirs = lowest_in_water(mol, starts), lowest_by_mmff(mol, starts)
        numbers = f"{theirs.energy:.1f} | {ours.energy:.1f} | {theirs.distance:.2f} | {ours.distance:.2f}"
        print(f"| {name} | {numbers} |", flush=True)


def contact_distances() -> dict[str, tuple[float, float]]:
    """Return mean distances of the minimum with the oxygen of water by kind of atom: MMFF94's and the learned."""
    model, water = load_model(), topology_from_mol(Chem.AddHs(Chem.MolFromSmiles("O")))
    found: dict[str, list[tuple[float, float]]] = {}
    for smiles in MOLECULES.values():
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        n = mol.GetNumAtoms()
        pairs = torch.stack([torch.arange(n), torch.full((n,), n)])
        joined = replace(concatenate([topology_from_mol(mol), water]), pairs=pairs, pairs_14=torch.zeros(n, dtype=bool))
        learned = model.parameters(joined).pair_radius.tolist()
        for atom, contact, radius in zip(mol.GetAtoms(), water_contacts(mol), learned, strict=True):
            carrier = f" on {atom.GetNeighbors()[0].GetSymbol()}" if atom.GetAtomicNum() == 1 else ""
            found.setdefault(atom.GetSymbol() + carrier, []).append((contact.radius, radius))
    return {kind: tuple(np.mean(values, axis=0)) for kind, values in sorted(found.items())}


def places(mol: Chem.Mol, starts: int) -> list[np.ndarray]:
    """Return positions of water around a molecule, (3, 3) Å each."""
    random = np.random.default_rng(0)
    x = mol.GetConformer().GetPositions()
    found = []
    for direction in random.normal(size=(starts, 3)):
        direction /= np.linalg.norm(direction)
        oxygen = x[(x @ direction).argmax()] + 3.0 * direction
        found.append(oxygen + Rotation.random(random_state=random).apply(TIP3P))
    return found


def lowest_in_water(mol: Chem.Mol, starts: int) -> Dimer:
    """Minimise dimers of the molecule and TIP3P, as in a box but without one."""
    force_field = app.ForceField(WATER)
    force_field.loadFile(io.StringIO(ligand_template(mol)))
    modeller = app.Modeller(openmm_topology(mol), mol.GetConformer().GetPositions() * unit.angstrom)
    modeller.add(water_topology(), (TIP3P + 10) * unit.angstrom)
    system = force_field.createSystem(modeller.topology, rigidWater=True)
    replace_own_terms(system, molecular_energy(mol), list(range(mol.GetNumAtoms())))
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(system, openmm.VerletIntegrator(1.0), platform)
    x = mol.GetConformer().GetPositions()

    def minimum(water: np.ndarray) -> tuple[float, np.ndarray]:
        context.setPositions(np.concatenate([x, water]) * unit.angstrom)
        openmm.LocalEnergyMinimizer.minimize(context, 0.1)
        state = context.getState(energy=True, positions=True)
        energy = state.getPotentialEnergy().value_in_unit(unit.kilocalorie_per_mole)
        return energy, state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)

    alone = minimise_learned(mol)
    return lowest(mol, [minimum(water) for water in places(mol, starts)], alone)


def minimise_learned(mol: Chem.Mol) -> float:
    """Return the learned energy of the molecule by itself, relaxed; a rigid water has none."""
    context = openmm.Context(
        molebm.to_openmm(mol), openmm.VerletIntegrator(1.0), openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(mol.GetConformer().GetPositions() * unit.angstrom)
    openmm.LocalEnergyMinimizer.minimize(context, 0.1)
    return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilocalorie_per_mole)


def lowest_by_mmff(mol: Chem.Mol, starts: int) -> Dimer:
    """Minimise the same dimers by RDKit's MMFF94."""
    both = Chem.CombineMols(mol, Chem.AddHs(Chem.MolFromSmiles("O")))
    Chem.SanitizeMol(both)
    x = mol.GetConformer().GetPositions()

    def minimum(water: np.ndarray) -> tuple[float, np.ndarray]:
        placed = Chem.Mol(both, True)
        conformer = Chem.Conformer(both.GetNumAtoms())
        conformer.SetPositions(np.concatenate([x, water]))
        placed.AddConformer(conformer)
        energy = minimise_mmff(placed)
        return energy, placed.GetConformer().GetPositions()

    alone, water = Chem.Mol(mol), Chem.AddHs(Chem.MolFromSmiles("O"))
    rdDistGeom.EmbedMolecule(water, randomSeed=1)
    apart = minimise_mmff(alone) + minimise_mmff(water)
    return lowest(mol, [minimum(water) for water in places(mol, starts)], apart)


def minimise_mmff(mol: Chem.Mol) -> float:
    """Relax a molecule or a dimer in place, and return its energy."""
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(
        mol, properties, nonBondedThresh=1000.0, ignoreInterfragInteractions=False
    )
    field.Initialize()
    field.Minimize(maxIts=5000)
    return field.CalcEnergy()


def lowest(mol: Chem.Mol, minima: list[tuple[float, np.ndarray]], apart: float) -> Dimer:
    """Return the lowest of the minima, its energy above that of the two far apart."""
    energy, positions = min(minima, key=lambda one: one[0])
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    distances = np.linalg.norm(positions[heavy] - positions[mol.GetNumAtoms()], axis=1)
    return Dimer(energy - apart, float(distances.min()))


def water_topology() -> app.Topology:
    """Return one molecule of water."""
    return openmm_topology(Chem.AddHs(Chem.MolFromSmiles("O")), "HOH")


if __name__ == "__main__":
    main()
