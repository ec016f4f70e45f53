"""Draw the README's picture: the learned energy against MMFF94 on unseen scaffolds, and what it samples.

python workflows/figure_overview.py REFERENCES docs/figures/overview.png
"""

from __future__ import annotations

from pathlib import Path

import click
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes

from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel, load_model
from molebm.samplers.minimise import minimise
from molebm.topology import concatenate
from molebm.training.evaluation import evaluate
from molebm.training.shards import Reference, at_temperature, read_references
from molebm.units import thermal_energy

NOISE = (0.02, 0.05, 0.1)  # Å


@click.command()
@click.argument("references", type=click.Path(exists=True, path_type=Path))
@click.argument("picture", type=click.Path(path_type=Path))
@click.option(
    "--model", type=click.Path(path_type=Path), default=None, help="A model file; the shipped one if left out."
)
def main(references: Path, picture: Path, model: Path | None) -> None:
    """Draw three panels side by side."""
    torch.set_num_threads(1)
    learned = load_model(model)
    unseen = list(read_references(references, "test"))
    figure, (left, middle, right) = plt.subplots(1, 3, figsize=(12, 3.6), layout="constrained")
    _energies(left, learned, unseen[:40])
    _correlations(middle, learned, unseen)
    _scores(right, learned, unseen[:64])
    picture.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(picture, dpi=130)


def _energies(axes: Axes, model: LearnedModel, references: list[Reference]) -> None:
    topology = concatenate([r.topology for r in references])
    columns = at_temperature(references[0], 500.0)
    positions = torch.cat([r.positions[:, :, columns] for r in references], dim=1)
    learned = MechanicalEnergy(topology, model.parameters(topology))(positions)
    reference = torch.stack([r.energies[columns] for r in references])
    x = (reference - reference.mean(1, keepdim=True)).flatten()
    y = (learned - learned.mean(1, keepdim=True)).flatten()
    axes.plot(x, y, ".", markersize=2, alpha=0.5)
    bound = float(torch.stack([x.abs().max(), y.abs().max()]).max())
    axes.plot([-bound, bound], [-bound, bound], "k-", linewidth=0.8)
    axes.set(xlabel="MMFF94, kcal/mol", ylabel="learned, kcal/mol", title="Energies at 500 K, unseen scaffolds")


def _correlations(axes: Axes, model: LearnedModel, references: list[Reference]) -> None:
    for temperature in (300.0, 500.0, 800.0):
        found = evaluate(model, references, temperature).pearson.sort().values
        axes.plot(found, torch.arange(1, len(found) + 1) / len(found), label=f"{temperature:.0f} K")
    axes.set(xlabel="Pearson r with MMFF94", ylabel="share of molecules", title="One molecule at a time", xlim=(0.8, 1))
    axes.legend()


def _scores(axes: Axes, model: LearnedModel, references: list[Reference]) -> None:
    topology = concatenate([r.topology for r in references])
    columns = at_temperature(references[0], 300.0)[:4]
    clean = torch.cat([r.positions[:, :, columns] for r in references], dim=1)
    energy_fn = MechanicalEnergy(topology, model.parameters(topology))
    generator = torch.Generator().manual_seed(0)
    bins = torch.linspace(0, 6, 61)
    for width in (0.0, *NOISE):
        noised = clean + width * torch.randn(clean.shape, generator=generator)
        excess = energy_fn(noised) - minimise(energy_fn, topology, noised, force_tolerance=0.1, max_steps=500).energy
        shares = excess / (1.5 * thermal_energy(300.0) * topology.atoms_per_molecule()[:, None])
        shown = shares.flatten().nan_to_num(nan=6).clamp(max=6)
        axes.hist(shown, bins=bins, histtype="step", label=f"noise {width:.2f} Å" if width else "thermal, 300 K")
    axes.set(xlabel="energy above the relaxed structure / (3/2 N kT)", ylabel="structures", title="Noise in energies")
    axes.legend()


if __name__ == "__main__":
    main()
