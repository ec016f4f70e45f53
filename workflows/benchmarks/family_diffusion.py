"""Conformers made from noise, beside those of ETKDGv3 and of folded random coordinates, for unseen molecules.

    molebm prepare library.smi -o references
    python workflows/benchmarks/family_diffusion.py references --model score=runs/score/model.safetensors \
        --model diffusion=runs/diffusion/model.safetensors

Every method makes equally many structures of each test molecule. They are looked at as they come, and after the same
relaxation in MMFF94. Recall is the share of the minima within a window of the lowest, as a search with many conformers
finds them, that a relaxed structure is near. Times are of the process, on one core, without relaxation.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom
from torch import Generator, Tensor

import molebm
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.conformers.noise_starts import noise_model
from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.search import random_starts
from molebm.conformers.symmetry import symmetry
from molebm.conformers.validity import bonds_are_whole, follows_stereo, is_connected
from molebm.forcefield.parameters import Parameters
from molebm.references.mmff import mmff_parameters
from molebm.samplers.engines import Engine, make_engine
from molebm.topology import Topology
from molebm.training.shards import read_references

WINDOW = 5.0  # kcal/mol above the lowest minimum, of those to be found
NEAR = 0.5  # Å, heavy atoms, symmetric atoms exchanged


class Molecule(NamedTuple):
    mol: Chem.Mol
    topology: Topology
    parameters: Parameters
    engine: Engine
    minima: np.ndarray  # (M, N, 3) Å
    lowest: float  # kcal/mol


class Figures(NamedTuple):
    milliseconds: float  # of each structure
    made: float  # share of the structures that were asked for
    whole: float  # share with every bond whole, as they come
    stereo: float  # share with declared stereo, as they come
    energy: float  # kcal/mol per atom above the lowest minimum, median, as they come
    valid: float  # share that is sound and as declared when relaxed
    relaxed: float  # kcal/mol above the lowest minimum, median of the valid
    best: float  # kcal/mol above the lowest minimum, of the lowest valid
    recall: float  # share of the minima


def molecules(folder: Path, count: int) -> Iterator[Molecule]:
    """Give test molecules with the minima that are to be found."""
    for reference in islice(read_references(folder, "test"), count):
        mol = Chem.AddHs(Chem.MolFromSmiles(reference.smiles))
        topology = topology_from_mol(mol)
        parameters = mmff_parameters(mol, topology).to(dtype=torch.float32)
        found = molebm.generate(
            mol,
            n_conformers=100,
            energy="mmff94",
            environment="vacuum",
            choose="lowest",
            energy_window=WINDOW,
            rmsd=NEAR / 2,
        )[0]
        energies = [conformer.GetDoubleProp("energy_kcal_mol") for conformer in found.GetConformers()]
        frames = positions_from_mol(found, torch.float64).permute(2, 1, 0).numpy()
        engine = make_engine(topology, parameters, "native", 1e6)
        yield Molecule(mol, topology, parameters, engine, frames, min(energies))


def figures(molecule: Molecule, make: Callable[[Molecule, int], Tensor], n: int) -> Figures:
    """Make structures by one method and look at them."""
    m = molecule
    began = time.process_time()
    raw = make(m, n)
    spent = 1000 * (time.process_time() - began)
    relaxed = m.engine.relax(raw, force_tolerance=0.1, max_steps=500)
    sound = is_connected(m.topology, m.parameters.bond_length, relaxed.positions, relaxed.energy)
    sound = (sound & follows_stereo(m.topology, relaxed.positions))[0]
    above = relaxed.energy[0][sound] - m.lowest
    near = np.zeros(len(m.minima), dtype=bool)
    if sound.any():
        kept = relaxed.positions[..., sound].double().permute(2, 1, 0).numpy()
        near = (rmsd_matrix(m.minima, symmetry(m.mol), kept) < NEAR).any(axis=1)
    n_made = raw.shape[2]
    return Figures(
        spent / n,
        n_made / n,
        bonds_are_whole(m.topology, m.parameters.bond_length, raw).sum().item() / n,
        follows_stereo(m.topology, raw).sum().item() / n,
        (m.engine.energy(raw)[0] - m.lowest).median().item() / m.topology.n_atoms if n_made else float("nan"),
        sound.sum().item() / n,
        above.median().item() if len(above) else float("nan"),
        above.min().item() if len(above) else float("nan"),
        float(near.mean()),
    )


def by_etkdg(molecule: Molecule, n: int) -> Tensor:
    mol = Chem.Mol(molecule.mol)
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed, parameters.timeout = 1, 60
    rdDistGeom.EmbedMultipleConfs(mol, n, parameters)
    return positions_from_mol(mol)


def by_folding(molecule: Molecule, n: int) -> Tensor:
    return random_starts(molecule.engine, molecule.topology, molecule.parameters, n, [Generator().manual_seed(1)])


def by_model(path: str) -> Callable[[Molecule, int], Tensor]:
    def make(molecule: Molecule, n: int) -> Tensor:
        return noise_model(path).sample(molecule.topology, n, [Generator().manual_seed(1)])

    return make


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("references", type=Path)
    parser.add_argument("--model", action="append", default=[], help="NAME=PATH; may be repeated")
    parser.add_argument("--molecules", type=int, default=50)
    parser.add_argument("--samples", type=int, default=32, help="of each molecule")
    arguments = parser.parse_args()
    rdBase.DisableLog("rdApp.*")
    torch.set_num_threads(1)
    methods = {"ETKDGv3": by_etkdg, "folded random coordinates": by_folding}
    for named in arguments.model:
        name, _, path = named.partition("=")
        methods[name] = by_model(path)
    found: dict[str, list[Figures]] = {name: [] for name in methods}
    sizes, minima, declared = [], [], 0
    for molecule in molecules(arguments.references, arguments.molecules):
        sizes.append(molecule.topology.n_atoms)
        minima.append(len(molecule.minima))
        declared += molecule.topology.stereo_signs.numel() + molecule.topology.stereo_cis.numel() > 0
        for name, make in methods.items():
            found[name].append(figures(molecule, make, arguments.samples))
    print(
        f"{len(sizes)} molecules of unseen scaffolds, {statistics.mean(sizes):.0f} atoms and "
        f"{statistics.mean(minima):.0f} minima on average, {declared} with declared stereo; "
        f"{arguments.samples} structures of each\n"
    )
    heads = (
        "start", "ms each", "bonds whole, %", "stereo as declared, %", "energy, kcal/mol per atom",
        "valid when relaxed, %", "relaxed energy, kcal/mol", "lowest, kcal/mol", f"recall at {NEAR:g} Å, %",
    )  # fmt: skip
    print("| " + " | ".join(heads) + " |\n| --- |" + " --: |" * (len(heads) - 1))
    for name, rows in found.items():
        mean = {field: statistics.mean(getattr(row, field) for row in rows) for field in Figures._fields}
        middle = {
            field: float(np.nanmedian([getattr(row, field) for row in rows])) for field in ("energy", "relaxed", "best")
        }
        cells = (
            f"{mean['milliseconds']:.0f}", f"{100 * mean['whole']:.1f}", f"{100 * mean['stereo']:.1f}",
            f"{middle['energy']:.2f}", f"{100 * mean['valid']:.1f}", f"{middle['relaxed']:.2f}",
            f"{middle['best']:.2f}", f"{100 * mean['recall']:.1f}",
        )  # fmt: skip
        print(f"| {name} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
