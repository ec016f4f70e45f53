"""The free-energy surface over φ and ψ of a learned energy against the samples that it was learned from.

    molebm prepare-openmm ALA GLY -o dipeptides
    molebm train workflows/dipeptide.toml dipeptides -o runs/dipeptides
    python workflows/benchmarks/dipeptide.py dipeptides --model runs/dipeptides/model --figure dipeptide.png

Prints a Markdown table of Jensen-Shannon divergences at one temperature: of the learned energy and of MMFF94
from the reference, and of what sampling alone leaves, between the halves of each. Needs matplotlib for the figure.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import click
import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.graph import topology_from_mol
from molebm.figures.free_energies import plot_free_energies
from molebm.figures.free_energies import populations as torus_populations
from molebm.forcefield.energy import EnergyFn
from molebm.forcefield.geometry import torsion_angle
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import load_model
from molebm.references.mmff import mmff_parameters
from molebm.references.peptides import capped_dipeptide
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.minimise import minimise
from molebm.samplers.run import sample
from molebm.samplers.tempering import geometric_temperatures, parallel_tempering
from molebm.topology import Topology
from molebm.training.shards import Reference, at_temperature, read_references
from molebm.units import BOLTZMANN

BINS = 24  # in each angle, 15 degrees wide
TIME_STEP = 2.0  # fs, with hydrogens of 3 amu
HOTTEST, N_TEMPERATURES = 600.0, 4  # of the ladder that carries the chains over barriers
STEPS_PER_SWAP = 100
BACKBONE = Chem.MolFromSmarts("C(=O)N[CX4]C(=O)N")


class Surface(NamedTuple):
    """Samples of φ and ψ in two independent halves."""

    first: Tensor  # (2, S) rad
    second: Tensor  # (2, S') rad

    def populations(self) -> Tensor:
        return populations(torch.cat(self, dim=1))

    def noise(self) -> float:
        return jensen_shannon(populations(self.first), populations(self.second))


@click.command()
@click.argument("references", type=click.Path(exists=True, path_type=Path))
@click.option("--model", type=click.Path(path_type=Path), default=None, help="A model file; the shipped if left out.")
@click.option("--temperature", default=300.0, show_default=True, help="K, one of those that were sampled.")
@click.option("--picoseconds", default=200.0, show_default=True, help="Of each chain.")
@click.option("--chains", default=32, show_default=True, help="At each temperature of the ladder.")
@click.option("--figure", type=click.Path(path_type=Path), default=None)
def main(
    references: Path, model: Path | None, temperature: float, picoseconds: float, chains: int, figure: Path | None
) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    learned = load_model(model)
    click.echo(
        f"Jensen-Shannon divergence of (φ, ψ) at {temperature:.0f} K from the reference, nats (bits); "
        f"{BINS} × {BINS} bins\n"
    )
    click.echo(
        "| molecule | split | learned | MMFF94 | reference, halves | learned, halves | φ > 0: reference, learned |"
    )
    click.echo("|---|---|---|---|---|---|---|")
    rows = []
    for split in ("train", "validation", "test"):
        for reference in read_references(references, split):
            mol = capped_dipeptide(reference.name.split("-")[1])
            topology = topology_from_mol(mol)
            backbone = torsions(mol)
            energies = [
                MechanicalEnergy(topology, learned.parameters(topology)),
                MechanicalEnergy(topology, mmff_parameters(mol, topology).to(dtype=torch.float32)),
            ]
            given = from_reference(reference, backbone, temperature)
            ours, mmff = (
                from_energy(e, topology, backbone, reference, temperature, picoseconds, chains) for e in energies
            )
            click.echo(_row(reference, given, ours, mmff))
            rows.append((reference.name, given, ours, mmff))
    if figure:
        draw(rows, temperature, figure)


def torsions(mol: Chem.Mol) -> Tensor:
    """Atoms of φ and ψ, (4, 2)."""
    c, _, n, ca, c2, _, n2 = mol.GetSubstructMatch(BACKBONE)
    return torch.tensor([[c, n, ca, c2], [n, ca, c2, n2]]).T


def from_reference(reference: Reference, backbone: Tensor, temperature: float) -> Surface:
    """Split the reference by its independent runs, which lie side by side in each frame."""
    angles = torsion_angle(reference.positions[:, :, at_temperature(reference, temperature)], backbone)
    runs = angles.view(2, -1, reference.starts.shape[2])  # (2, frames, runs)
    half = max(1, runs.shape[2] // 2)
    return Surface(runs[:, :, :half].flatten(1), runs[:, :, half:].flatten(1))


def from_energy(
    energy_fn: EnergyFn,
    topology: Topology,
    backbone: Tensor,
    reference: Reference,
    temperature: float,
    picoseconds: float,
    chains: int,
) -> Surface:
    """Sample an energy by parallel tempering, half of the chains from reference samples and half from embeddings."""
    ladder = geometric_temperatures(temperature, HOTTEST, N_TEMPERATURES)
    generator = torch.Generator().manual_seed(0)
    at_random = reference.positions[
        :, :, torch.randint(reference.positions.shape[2], (chains // 2,), generator=generator)
    ]
    embedded = reference.starts[:, :, torch.arange(chains - chains // 2) % reference.starts.shape[2]]
    starts = torch.cat([at_random, embedded], dim=2).repeat(1, 1, N_TEMPERATURES)
    starts = minimise(energy_fn, topology, starts, force_tolerance=5.0, max_steps=100).positions
    kT = BOLTZMANN * ladder.repeat_interleave(chains)
    masses = repartition_hydrogen_mass(topology)
    sampler = parallel_tempering(
        baoab(energy_fn, topology, masses=masses, time_step=TIME_STEP),
        topology,
        n_temperatures=N_TEMPERATURES,
        steps_per_swap=STEPS_PER_SWAP,
    )
    state = sampler.init(starts)
    velocities = maxwell_boltzmann(topology, masses, starts, kT=kT, generator=generator)
    state = state._replace(replicas=state.replicas._replace(velocities=velocities))
    n_rounds = round(picoseconds * 1000 / TIME_STEP / STEPS_PER_SWAP)
    found = [
        torsion_angle(state.positions[:, :, :chains], backbone)
        for state, _ in sample(sampler, state, kT=kT, n_steps=n_rounds, generator=generator)
    ]
    angles = torch.stack(found[n_rounds // 10 :], dim=1)  # (2, rounds, chains), equilibrated
    half = chains // 2
    return Surface(angles[:, :, :half].flatten(1), angles[:, :, half:].flatten(1))


def populations(angles: Tensor) -> Tensor:
    """Histogram of φ and ψ (2, S) rad over the torus, (BINS, BINS), summing to one."""
    return torch.from_numpy(torus_populations(*angles.rad2deg(), BINS))


def jensen_shannon(p: Tensor, q: Tensor) -> float:
    """Half the Kullback-Leibler divergences of p and of q from their mean; nats, from 0 to ln 2."""
    mean = (p + q) / 2
    return ((torch.xlogy(p, p) + torch.xlogy(q, q)).sum() / 2 - torch.xlogy(mean, mean).sum()).item()


def _row(reference: Reference, given: Surface, ours: Surface, mmff: Surface) -> str:
    divergences = [jensen_shannon(other.populations(), given.populations()) for other in (ours, mmff)]
    cells = [f"{d:.3f} ({d / math.log(2):.3f})" for d in [*divergences, given.noise(), ours.noise()]]
    positive = [s.populations()[BINS // 2 :].sum().item() for s in (given, ours)]
    return f"| {reference.name} | {reference.split} | {' | '.join(cells)} | {positive[0]:.1%} | {positive[1]:.1%} |"


def draw(rows: list[tuple[str, Surface, Surface, Surface]], temperature: float, path: Path) -> None:
    """Draw the free energies over φ and ψ, a row for each molecule."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8.5, 2.6 * len(rows) + 0.4), layout="constrained")
    axes = figure.subplots(len(rows), 3, sharex=True, sharey=True, squeeze=False)
    for line, (name, *surfaces) in zip(axes, rows, strict=True):
        for ax, title, surface in zip(line, ("reference", "learned", "MMFF94"), surfaces, strict=True):
            angles = torch.cat(surface, dim=1).rad2deg()
            plot_free_energies(*angles, ax, temperature=temperature, bins=BINS, scale=False)
            ax.set(title=f"{name}, {title}", xlabel="", ylabel="")
            ax.title.set_fontsize(9)
        line[0].set_ylabel("ψ / °")
    for ax in axes[-1]:
        ax.set_xlabel("φ / °")
    figure.colorbar(axes[0, 0].images[0], ax=axes, label="free energy / kcal/mol", shrink=0.8)
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
