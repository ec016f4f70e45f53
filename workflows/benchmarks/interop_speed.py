"""Time dynamics by the learned energy in OpenMM, ASE and torch-sim, on one core.

OpenMM beside the same molecule in the kinds of term that Amber has, whose numbers do not matter for time; then the
same two in a box of water; then what the residual in Python costs. Times are CPU times, which a busy machine
disturbs less; seconds are of this machine and ratios travel. Residuals have random weights.
"""

from __future__ import annotations

import itertools
import os
import platform
import tempfile
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time

import click
import openmm
import torch
import torch_sim
from ase import units as ase_units
from ase.md.verlet import VelocityVerlet
from openmm import unit
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

import molebm
from molebm.chem.graph import topology_from_mol
from molebm.interop.openmm_solution import Solution, in_water
from molebm.interop.torch_sim_model import MolebmModel
from molebm.models.checkpoint import SHIPPED, load_model, save_model
from molebm.models.residual import ResidualNetwork
from molebm.samplers.masses import atomic_masses

DRUGS = Path(__file__).resolve().parents[2] / "data" / "drugs.smi"
SIZES = (33, 50, 68)  # atoms
SECONDS_PER_DAY = 86_400
STEP = 1.0  # fs
RESIDUAL = {"width": 32, "n_layers": 2}


@click.command()
@click.option("--seconds", default=1.0, show_default=True, help="Of CPU, for each of three measurements.")
def main(seconds: float) -> None:
    """Print Markdown tables of steps per second and ns per day."""
    torch.set_num_threads(1)
    mols = drugs()
    print(f"{platform.processor() or platform.machine()}, one thread, OpenMM {openmm.__version__}\n")
    with tempfile.TemporaryDirectory() as folder:
        residual = with_residual(Path(folder))
        in_vacuum(mols, residual, seconds)
        in_a_box(mols[0], residual, seconds)
        in_python(mols, residual, seconds)


def in_vacuum(mols: list[Chem.Mol], residual: Path, seconds: float) -> None:
    """Compare the learned energy with Amber's kinds of term, on two platforms."""
    print("| atoms | platform | Amber-like, steps/s | learned, steps/s | learned, ns/day | with a residual, steps/s |")
    print("|---|---|---|---|---|---|")
    for mol, name in itertools.product(mols, ("Reference", "CPU")):
        systems = (amber_like(mol), molebm.to_openmm(mol), molebm.to_openmm(mol, model=residual))
        positions = mol.GetConformer().GetPositions()
        amber, learned, both = (steps_per_second(context(each, positions, name), seconds) for each in systems)
        told = f"{amber:,.0f} | {learned:,.0f} | {ns_per_day(learned):,.0f} | {both:,.0f}"
        print(f"| {mol.GetNumAtoms()} | {name} | {told} |")


def in_a_box(mol: Chem.Mol, residual: Path, seconds: float) -> None:
    """Compare the same in water, where the molecule is a small part of all."""
    solution = in_water(mol)
    amber = with_amber_like_terms(solution, mol)
    learned = (solution.system, in_water(mol, model=residual).system)
    rates = [
        steps_per_second(context(each, solution.positions, "CPU", minimise=True), seconds) for each in (amber, *learned)
    ]
    print(f"\n{mol.GetNumAtoms()} atoms in water, {len(solution.positions)} particles, PME, CPU platform\n")
    print("| terms of the molecule | steps/s | ns/day |")
    print("|---|---|---|")
    for name, rate in zip(("Amber-like", "learned", "learned, with a residual"), rates, strict=True):
        print(f"| {name} | {rate:.1f} | {ns_per_day(rate):.2f} |")


def in_python(mols: list[Chem.Mol], residual: Path, seconds: float) -> None:
    """Time the engines that call Python at every step."""
    print("\n| atoms | ASE, single | ASE, double | ASE, with a residual | torch-sim, 64 conformers at a time |")
    print("|---|---|---|---|---|")
    for mol in mols:
        one = [ase_steps(molebm.to_ase(mol, precision=precision), seconds) for precision in ("single", "double")]
        one.append(ase_steps(molebm.to_ase(mol, model=residual), seconds))
        told = " | ".join(f"{rate:,.0f}" for rate in (*one, torch_sim_steps(mol, 64, seconds)))
        print(f"| {mol.GetNumAtoms()} | {told} |")


def steps_per_second(engine: openmm.Context, seconds: float) -> float:
    """Take steps of one femtosecond."""
    return rate(engine.getIntegrator().step, seconds)


def ase_steps(atoms: object, seconds: float) -> float:
    """Take steps of ASE's velocity Verlet."""
    dynamics = VelocityVerlet(atoms, timestep=STEP * ase_units.fs)
    return rate(dynamics.run, seconds)


def torch_sim_steps(mol: Chem.Mol, n_conformers: int, seconds: float) -> float:
    """Take steps of torch-sim's Langevin integrator with many conformers, and count those of each conformer."""
    state = torch_sim.io.atoms_to_state([molebm.to_ase(mol)] * n_conformers, torch.device("cpu"), torch.float32)
    model = MolebmModel(mol)

    def run(n_steps: int) -> None:
        nonlocal state
        state = torch_sim.integrate(
            state, model, integrator=torch_sim.nvt_langevin, n_steps=n_steps, temperature=300.0, timestep=STEP / 1000
        )

    return n_conformers * rate(run, seconds)


def rate(run: Callable[[int], object], seconds: float) -> float:
    """Return steps per second of CPU, the median of three measurements."""
    n_steps, took = 8, 0.0
    while took < seconds / 4:
        n_steps *= 2
        took = timed(run, n_steps)
    n_steps = max(1, round(n_steps * seconds / took))
    return median(n_steps / timed(run, n_steps) for _ in range(3))


def timed(run: Callable[[int], object], n_steps: int) -> float:
    """Return the CPU time of that many steps, in s."""
    began = process_time()
    run(n_steps)
    return process_time() - began


def ns_per_day(steps: float) -> float:
    """Convert from steps per second."""
    return steps * STEP * SECONDS_PER_DAY / 1e6


def context(system: openmm.System, positions: object, name: str, *, minimise: bool = False) -> openmm.Context:
    """Open a context at 300 K on one thread."""
    integrator = openmm.LangevinMiddleIntegrator(300, 1 / unit.picosecond, STEP * unit.femtosecond)
    properties = {"Threads": "1"} if name == "CPU" else {}
    opened = openmm.Context(system, integrator, openmm.Platform.getPlatformByName(name), properties)
    opened.setPositions(positions * unit.angstrom)
    if minimise:
        openmm.LocalEnergyMinimizer.minimize(opened, maxIterations=50)
    opened.setVelocitiesToTemperature(300, 1)
    return opened


def amber_like(mol: Chem.Mol) -> openmm.System:
    """Give a molecule as many bonds, angles, torsions and pairs in Amber's forms, near where its atoms are."""
    system = openmm.System()
    for mass in atomic_masses(topology_from_mol(mol)).tolist():
        system.addParticle(mass)
    for force in amber_forces(mol):
        system.addForce(force)
    charges = rdForceFieldHelpers.MMFFGetMoleculeProperties(mol)
    nonbonded = openmm.NonbondedForce()
    for atom in mol.GetAtoms():
        nonbonded.addParticle(
            charges.GetMMFFPartialCharge(atom.GetIdx()), 0.25 if atom.GetAtomicNum() == 1 else 0.33, 0.3
        )
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]
    nonbonded.createExceptionsFromBonds(bonds, 1 / 1.2, 0.5)
    system.addForce(nonbonded)
    return system


def amber_forces(mol: Chem.Mol) -> list[openmm.Force]:
    """Write the bonded terms of `amber_like`."""
    topology = topology_from_mol(mol)
    conformer = mol.GetConformer()
    bond, angle, torsion = openmm.HarmonicBondForce(), openmm.HarmonicAngleForce(), openmm.PeriodicTorsionForce()
    for i, j in topology.bonds.T.tolist():
        bond.addBond(i, j, Chem.rdMolTransforms.GetBondLength(conformer, i, j) / 10, 250_000)
    for i, j, k in topology.angles.T.tolist():
        angle.addAngle(i, j, k, Chem.rdMolTransforms.GetAngleRad(conformer, i, j, k), 400)
    for atoms in topology.torsions.T.tolist():
        torsion.addTorsion(*atoms, 3, 0.0, 0.6)
    for i, j, k, m in topology.impropers.T.tolist():
        torsion.addTorsion(i, k, j, m, 2, 3.14159, 4.6)
    return [bond, angle, torsion]


def with_amber_like_terms(solution: Solution, mol: Chem.Mol) -> openmm.System:
    """Replace the learned terms of a molecule in water by those of `amber_like`."""
    system = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(solution.system))
    kept = ("NonbondedForce", "HarmonicBondForce", "HarmonicAngleForce", "CMMotionRemover", "PeriodicTorsionForce")
    for index in reversed(range(system.getNumForces())):
        if system.getForce(index).getName() not in kept:
            system.removeForce(index)
    for force in amber_forces(mol):
        system.addForce(force)
    nonbonded = next(force for force in system.getForces() if isinstance(force, openmm.NonbondedForce))
    near = {frozenset(pair) for pair in topology_from_mol(mol).bonds.T.tolist()}
    near |= {frozenset((i, k)) for i, _, k in topology_from_mol(mol).angles.T.tolist()}
    for index in range(nonbonded.getNumExceptions()):
        i, j, _, _, _ = nonbonded.getExceptionParameters(index)
        if max(i, j) < solution.n_solute and frozenset((i, j)) not in near:
            (q, s, e), (p, t, f) = (nonbonded.getParticleParameters(atom) for atom in (i, j))
            nonbonded.setExceptionParameters(index, i, j, q * p, (s + t) / 2, unit.sqrt(e * f))
    return system


def drugs() -> list[Chem.Mol]:
    """Return example drugs of about these sizes, embedded and relaxed."""
    lines = [line.split()[0] for line in DRUGS.read_text().splitlines() if line.strip() and not line.startswith("#")]
    known = [Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in lines]
    chosen = [min(known, key=lambda mol, size=size: abs(mol.GetNumAtoms() - size)) for size in SIZES]
    for mol in chosen:
        rdDistGeom.EmbedMolecule(mol, randomSeed=1)
        rdForceFieldHelpers.MMFFOptimizeMolecule(mol)
    return chosen


def with_residual(folder: Path) -> Path:
    """Save the shipped model with a residual of the usual size and small random weights."""
    network = ResidualNetwork(**RESIDUAL)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in (network.readout.weight, network.readout.bias):
            weight.normal_(std=0.1, generator=generator)
    shipped = load_model(SHIPPED)
    save_model(folder / "model", shipped.network, {**shipped.metadata, "residual": RESIDUAL}, network)
    return folder / "model.safetensors"


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
