"""What the residual costs on top of the bare kernel, and what it buys.

    python workflows/benchmarks/residual.py --shards REFERENCES

REFERENCES is a folder of shards that `molebm prepare` writes. Prints Markdown tables. Times are CPU times
of one thread: seconds are of this machine and ratios travel.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import fields
from pathlib import Path
from statistics import median
from time import process_time

import click
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from torch import Tensor

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.forcefield.geometry import cos_torsion
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel, load_model
from molebm.models.couplings import ResidualEnergy, coupling_energy
from molebm.models.residual import ResidualNetwork
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.run import sample
from molebm.topology import Topology, concatenate
from molebm.training.force_matching import force_matching
from molebm.training.shards import Reference, is_finite, read_shard
from molebm.units import thermal_energy

DRUGS = Path(__file__).resolve().parents[2] / "data" / "drugs.smi"
SIZES, N_CONFORMERS = (33, 50, 68), 16
DIPEPTIDE, PHI_PSI = "CC(=O)N[C@@H](C)C(=O)NC", Chem.MolFromSmarts("C(=O)N[CX4]C(=O)N")
COUPLING = 4.0  # kcal/mol, of cos φ cos ψ
MOLECULES, FRAMES = 24, 6  # of each update on shards


@click.command()
@click.option("--shards", type=click.Path(exists=True, path_type=Path), help="Also fit MMFF94 on drug-like molecules.")
@click.option("--updates", default=400, show_default=True, help="Of each fit.")
def main(shards: Path | None, updates: int) -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    model = load_model()
    cost(model)
    coupled_dipeptide(model, updates)
    if shards:
        unlike_scaffolds(model, [r for path in sorted(shards.glob("shard-*")) for r in read_shard(path)], updates)


def cost(model: LearnedModel) -> None:
    """Time a step of the kernel with and without the residual."""
    mols = sorted((Chem.AddHs(Chem.MolFromSmiles(each)) for each in drugs()), key=Chem.Mol.GetNumAtoms)
    click.echo(f"| µs per conformer, {N_CONFORMERS} conformers | kernel | with residual | ratio | compiled | ratio |")
    click.echo("|---|--:|--:|--:|--:|--:|")
    for size in SIZES:
        mol = min(mols, key=lambda mol, size=size: abs(mol.GetNumAtoms() - size))
        rdDistGeom.EmbedMultipleConfs(mol, N_CONFORMERS, randomSeed=1)
        topology, x = topology_from_mol(mol), positions_from_mol(mol)
        bare = MechanicalEnergy(topology, model.parameters(topology))
        with torch.no_grad():
            couplings = ResidualNetwork()(topology)
        both = [ResidualEnergy(topology, bare, couplings, compiled=compiled) for compiled in (False, True)]
        base, eager, compiled = (seconds(energy_fn, x) * 1e6 / x.shape[2] for energy_fn in (bare, *both))
        click.echo(
            f"| {mol.GetNumAtoms()} atoms | {base:.1f} | {eager:.0f} | {eager / base:.0f} "
            f"| {compiled:.0f} | {compiled / base:.0f} |"
        )


def coupled_dipeptide(model: LearnedModel, updates: int) -> None:
    """Fit a reference that couples φ and ψ of alanine dipeptide by the kernel's parameters and by the residual."""
    mol = Chem.AddHs(Chem.MolFromSmiles(DIPEPTIDE))
    rdDistGeom.EmbedMultipleConfs(mol, 64, randomSeed=1)
    topology = topology_from_mol(mol)
    parameters = model.parameters(topology)
    c, _, n, ca, c2, _, n2 = mol.GetSubstructMatch(PHI_PSI)
    phi, psi = torch.tensor([[c, n, ca, c2]]).T, torch.tensor([[n, ca, c2, n2]]).T

    def added(x: Tensor) -> Tensor:
        return COUPLING * cos_torsion(x, phi) * cos_torsion(x, psi)

    def reference(x: Tensor) -> Tensor:
        return MechanicalEnergy(topology, parameters)(x) + added(x)

    x = torch.cat(list(thermal_samples(reference, topology, positions_from_mol(mol))), dim=2)
    x = x[:, :, torch.randperm(x.shape[2], generator=torch.Generator().manual_seed(0))]
    training, unseen = x[:, :, : 3 * x.shape[2] // 4], x[:, :, 3 * x.shape[2] // 4 :]
    forces = energy_and_forces(added, training).forces

    whole = energy_and_forces(reference, training).forces
    free = parameters.map(lambda value: value.clone().requires_grad_())
    values = [getattr(free, f.name) for f in fields(free) if getattr(free, f.name).requires_grad]
    residual = ResidualNetwork()

    def kernel(x: Tensor) -> Tensor:
        return MechanicalEnergy(topology, free)(x)

    def batches() -> Iterator[Tensor]:
        generator = torch.Generator().manual_seed(1)
        for _ in range(updates):
            yield torch.randint(training.shape[2], (64,), generator=generator)

    groups = [{"params": [value], "lr": 5e-3 * value.detach().abs().mean().clamp(min=0.1).item()} for value in values]
    fit(groups, updates, (force_matching(kernel, training[:, :, b], whole[:, :, b]) for b in batches()))
    losses = (force_matching(bound(residual, topology), training[:, :, b], forces[:, :, b]) for b in batches())
    fit([{"params": residual.parameters(), "lr": 3e-3}], updates, losses)
    click.echo(
        f"\nThe learned energy of alanine dipeptide + {COUPLING} cos φ cos ψ, {unseen.shape[2]} unseen conformers\n"
    )
    click.echo("| fitted to its forces | force error, kcal/mol/Å | energy error, kcal/mol |\n|---|--:|--:|")
    bare, both = MechanicalEnergy(topology, parameters), bound(residual, topology)
    for label, energy_fn in (
        ("nothing", bare),
        ("every parameter of the kernel", kernel),
        ("the residual", lambda x: bare(x) + both(x)),
    ):
        ours, theirs = (energy_and_forces(each, unseen) for each in (energy_fn, reference))
        click.echo(f"| {label} | {rms(ours.forces - theirs.forces):.2f} | {(ours.energy - theirs.energy).std():.2f} |")


def unlike_scaffolds(model: LearnedModel, references: Sequence[Reference], updates: int) -> None:
    """Fit MMFF94 forces on top of the frozen learned energy, and look at scaffolds that were not fitted."""
    sound = [r for r in references if is_finite(r)]
    training, unseen = ([r for r in sound if (r.split == "train") == seen] for seen in (True, False))
    residual, generator = ResidualNetwork(), torch.Generator().manual_seed(0)

    def losses() -> Iterator[Tensor]:
        for _ in range(updates):
            chosen = [training[k] for k in torch.randint(len(training), (MOLECULES,), generator=generator)]
            frames = torch.randint(chosen[0].positions.shape[2], (FRAMES,), generator=generator)
            topology = concatenate([r.topology for r in chosen])
            x = torch.cat([r.positions[:, :, frames] for r in chosen], dim=1)
            mechanical = MechanicalEnergy(topology, model.parameters(topology)).energy_and_forces(x).forces
            missing = torch.cat([r.forces[:, :, frames] for r in chosen], dim=1) - mechanical
            yield force_matching(bound(residual, topology), x, missing)

    fit([{"params": residual.parameters(), "lr": 2e-3}], updates, losses())
    click.echo(f"\nMMFF94, fitted on {len(training)} molecules, medians over {len(unseen)} on other scaffolds\n")
    click.echo("| energy | force error, kcal/mol/Å | energy error, kcal/mol |\n|---|--:|--:|")
    errors = []
    for r in unseen:
        bare = MechanicalEnergy(r.topology, model.parameters(r.topology))
        with torch.no_grad():
            both = ResidualEnergy(r.topology, bare, residual(r.topology))
        ours = [energy_and_forces(energy_fn, r.positions) for energy_fn in (bare, both)]
        errors.append([(rms(o.forces - r.forces), (o.energy - r.energies).std().item()) for o in ours])
    for label, column in zip(("learned", "learned + residual"), torch.tensor(errors).median(0).values, strict=True):
        click.echo(f"| {label} | {column[0]:.2f} | {column[1]:.2f} |")


def thermal_samples(energy_fn: EnergyFn, topology: Topology, start: Tensor) -> Iterator[Tensor]:
    """Run every conformer at 600 K and give it now and then."""
    masses, kT, generator = repartition_hydrogen_mass(topology), thermal_energy(600.0), torch.Generator().manual_seed(0)
    sampler = baoab(energy_fn, topology, masses=masses, time_step=1.0)
    state = sampler.init(start)
    state = state._replace(velocities=maxwell_boltzmann(topology, masses, start, kT=kT, generator=generator))
    chain = sample(sampler, state, kT=kT, n_steps=1200, thin=100, generator=generator)
    yield from (state.positions for state, _ in list(chain)[3:])


def bound(residual: ResidualNetwork, topology: Topology) -> EnergyFn:
    """Bind the residual to a topology, with gradients to its weights."""
    couplings = residual(topology)
    return lambda x: coupling_energy(topology, couplings, x)


def fit(groups: list[dict], updates: int, losses: Iterator[Tensor]) -> None:
    """Descend one loss after the other, the steps dying away."""
    optimiser = torch.optim.Adam(groups)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, updates)
    for loss in losses:
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def rms(values: Tensor) -> float:
    """Root of the mean square."""
    return values.square().mean().sqrt().item()


def drugs() -> list[str]:
    """Read the SMILES of the example drugs."""
    lines = DRUGS.read_text(encoding="utf-8").splitlines()
    return [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]


def seconds(energy_fn: EnergyFn, x: Tensor, n_calls: int = 20, n_repeats: int = 5) -> float:
    """CPU time of one energy with forces, the median of a few means."""
    energy_and_forces(energy_fn, x)
    times = []
    for _ in range(n_repeats):
        start = process_time()
        for _ in range(n_calls):
            energy_and_forces(energy_fn, x)
        times.append((process_time() - start) / n_calls)
    return median(times)


if __name__ == "__main__":
    main()
