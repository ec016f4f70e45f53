"""Time the kernel's energy and gradient against RDKit's MMFF94 on one core, in one run.

Times are CPU times, which a busy machine disturbs less; seconds are of this machine and ratios travel.
"""

from __future__ import annotations

import platform
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import NamedTuple

import click
import numpy as np
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from torch import Tensor

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.mechanics import Backend, MechanicalEnergy
from molebm.forcefield.native import native_available
from molebm.forcefield.parameters import Parameters, concatenate_parameters
from molebm.references.mmff import mmff_parameters, mmff_properties
from molebm.topology import Topology, concatenate

DRUGS = Path(__file__).resolve().parents[2] / "data" / "drugs.smi"
SIZES = (33, 50, 68)  # atoms
NOISE = 0.03  # Å, one embedding serves all conformers
SHORTEST = 0.03  # s, what is faster is called several times in a row


class Case(NamedTuple):
    """Something to evaluate: molecules with C conformers each."""

    label: str
    mols: list[Chem.Mol]
    topology: Topology
    parameters: Parameters
    positions: Tensor  # (3, N, C) Å


@click.command()
@click.option("--n-conformers", default=64, show_default=True, help="Conformers of each single drug.")
@click.option("--n-ragged", default=30, show_default=True, help="Drugs in the batch, with 16 conformers each.")
@click.option("--n-repeats", default=9, show_default=True)
@click.option("--compiled/--no-compiled", default=True, show_default=True, help="Time torch.compile as well.")
def main(n_conformers: int, n_ragged: int, n_repeats: int, compiled: bool) -> None:
    """Print a Markdown table of µs per conformer, and how many times faster than RDKit that is."""
    torch.set_num_threads(1)
    smiles = read_drugs(DRUGS)
    by_size = sorted((Chem.AddHs(Chem.MolFromSmiles(each)) for each in smiles), key=Chem.Mol.GetNumAtoms)
    drugs = [min(by_size, key=lambda mol, size=size: abs(mol.GetNumAtoms() - size)) for size in SIZES]
    spread = [mol for mol in by_size if mol.GetNumAtoms() <= 80]
    ragged = spread[:: max(1, len(spread) // n_ragged)][:n_ragged]
    cases = [case(f"{mol.GetNumAtoms()} atoms × {n_conformers}", [mol], n_conformers) for mol in drugs]
    mean = np.mean([mol.GetNumAtoms() for mol in ragged])
    cases.append(case(f"{len(ragged)} drugs (mean {mean:.0f} atoms) × 16", ragged, 16))

    backends: list[Backend] = ["torch"]
    backends[:0] = ["native"] if native_available() else []
    backends += ["compiled"] if compiled else []
    click.echo(f"torch {torch.__version__}, {platform.processor() or platform.machine()}, one thread, float32\n")
    click.echo(f"| µs per conformer | RDKit | {' | '.join(f'{b} | RDKit / {b}' for b in backends)} |")
    click.echo("|---|" + "--:|" * (1 + 2 * len(backends)))
    for each in cases:
        evaluations = {"RDKit": rdkit_evaluation(each)} | {b: kernel_evaluation(each, b) for b in backends}
        times = interleaved(evaluations, n_repeats)
        n_evaluations = len(each.mols) * each.positions.shape[2]
        row = [f"{1e6 * median(times['RDKit']) / n_evaluations:.0f}"]
        for backend in backends:
            ratios = [theirs / ours for theirs, ours in zip(times["RDKit"], times[backend], strict=True)]
            row += [f"{1e6 * median(times[backend]) / n_evaluations:.1f}", f"{median(ratios):.2g}"]
        click.echo(f"| {each.label} | {' | '.join(row)} |")


def read_drugs(path: Path) -> list[str]:
    """Read the SMILES of the example drugs."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def case(label: str, mols: list[Chem.Mol], n_conformers: int) -> Case:
    """Embed each molecule once and shake the conformers out of that."""
    topologies = [topology_from_mol(mol) for mol in mols]
    parameters = [mmff_parameters(mol, topology) for mol, topology in zip(mols, topologies, strict=True)]
    for mol in mols:
        rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    start = torch.cat([positions_from_mol(mol) for mol in mols], dim=1)  # (3, N, 1)
    generator = torch.Generator().manual_seed(0)
    x = start + NOISE * torch.randn(*start.shape[:2], n_conformers, generator=generator)
    return Case(label, mols, concatenate(topologies), concatenate_parameters(parameters).to(dtype=torch.float32), x)


def rdkit_evaluation(each: Case) -> Callable[[], object]:
    """CalcEnergy and CalcGrad of every conformer; turning the positions into lists is not timed."""
    counts = each.topology.atoms_per_molecule().tolist()
    work = []
    for mol, x in zip(each.mols, each.positions.split(counts, dim=1), strict=True):
        field = rdForceFieldHelpers.MMFFGetMoleculeForceField(mol, mmff_properties(mol), nonBondedThresh=1e9)
        work += [(field, frame.flatten().tolist()) for frame in x.double().permute(2, 1, 0)]

    def evaluate() -> None:
        for field, positions in work:
            field.CalcEnergy(positions)
            field.CalcGrad(positions)

    return evaluate


def kernel_evaluation(each: Case, backend: Backend) -> Callable[[], object]:
    """Energy and forces of all conformers at once."""
    energy_fn = MechanicalEnergy(each.topology, each.parameters, backend)
    return lambda: energy_fn.energy_and_forces(each.positions)


def interleaved(evaluations: dict[str, Callable[[], object]], n_repeats: int) -> dict[str, list[float]]:
    """Time each in turn, again and again, in s of CPU time; the first call, which may compile, does not count."""
    calls = {}
    for name, evaluate in evaluations.items():
        evaluate()
        calls[name] = 1 + int(SHORTEST / seconds(evaluate, 1))
    times: dict[str, list[float]] = {name: [] for name in evaluations}
    for _ in range(n_repeats):
        for name, evaluate in evaluations.items():
            times[name].append(seconds(evaluate, calls[name]))
    return times


def seconds(evaluate: Callable[[], object], n_calls: int) -> float:
    """CPU time of one call, as the mean of several."""
    start = process_time()
    for _ in range(n_calls):
        evaluate()
    return (process_time() - start) / n_calls


if __name__ == "__main__":
    main()
