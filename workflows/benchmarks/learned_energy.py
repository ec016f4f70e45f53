"""How close the learned energy is to its reference on scaffolds it was not trained on, and whether it holds molecules.

    python workflows/benchmarks/learned_energy.py REFERENCES --stability 100

REFERENCES is a folder that `molebm prepare` made. Prints Markdown tables.
"""

from __future__ import annotations

from pathlib import Path

import click
import torch
from torch import Tensor

from molebm.forcefield.geometry import distance
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel, load_model
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.run import sample
from molebm.topology import ELEMENTS, concatenate
from molebm.training.evaluation import Agreement, evaluate
from molebm.training.shards import Reference, read_references
from molebm.units import thermal_energy

SYMBOLS = dict(zip(ELEMENTS, ["H", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I"], strict=True))
TIME_STEP = 2.0  # fs, with hydrogens of 3 amu
BROKEN = 1.5  # times the predicted bond length


@click.command()
@click.argument("references", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--model", type=click.Path(path_type=Path), default=None, help="A model file; the shipped one if left out."
)
@click.option("--split", default="test", show_default=True)
@click.option("--stability", default=0.0, show_default=True, help="Picoseconds of dynamics at 300 K; 0 for none.")
@click.option("--molecules", default=200, show_default=True, help="Molecules of the stability run.")
def main(references: Path, model: Path | None, split: str, stability: float, molecules: int) -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    learned = load_model(model)
    unseen = list(read_references(references, split))
    click.echo(f"{len(unseen)} molecules of the {split} split, learned energy against MMFF94\n")
    click.echo("| samples | Pearson r, median | r, 10th percentile | slope, median | RMSE, median | spread, median |")
    click.echo("|---|---|---|---|---|---|")
    for label, temperature in (("300 K", 300.0), ("500 K", 500.0), ("800 K", 800.0), ("300-800 K", None)):
        click.echo(_row(label, evaluate(learned, unseen, temperature)))
    click.echo("\n| molecules with | count | Pearson r at 500 K, median | slope | RMSE |\n|---|---|---|---|---|")
    found = evaluate(learned, unseen, 500.0)
    for number, symbol in SYMBOLS.items():
        chosen = torch.tensor([bool((r.topology.atomic_numbers == number).any()) for r in unseen])
        click.echo(_group_row(symbol, found, chosen))
    charged = torch.tensor([bool((r.topology.formal_charges != 0).any()) for r in unseen])
    click.echo(_group_row("a formal charge", found, charged))
    if stability:
        whole, n_runs = _stability(learned, unseen[:molecules], stability)
        click.echo(f"\n{stability:.0f} ps of BAOAB at 300 K: no bond broken in {whole} of {n_runs} molecules")


def _row(label: str, found: Agreement) -> str:
    low = found.pearson.quantile(0.1)
    return (
        f"| {label} | {found.pearson.median():.3f} | {low:.3f} | {found.slope.median():.3f} "
        f"| {found.rmse.median():.2f} kcal/mol | {found.spread.median():.2f} kcal/mol |"
    )


def _group_row(label: str, found: Agreement, chosen: Tensor) -> str:
    if not chosen.any():
        return f"| {label} | 0 | | | |"
    medians = [column[chosen].median() for column in (found.pearson, found.slope, found.rmse)]
    return f"| {label} | {int(chosen.sum())} | {medians[0]:.3f} | {medians[1]:.3f} | {medians[2]:.2f} kcal/mol |"


def _stability(model: LearnedModel, references: list[Reference], picoseconds: float) -> tuple[int, int]:
    topology = concatenate([r.topology for r in references])
    parameters = model.parameters(topology)
    masses = repartition_hydrogen_mass(topology)
    energy_fn = MechanicalEnergy(topology, parameters)
    sampler = baoab(energy_fn, topology, masses=masses, time_step=TIME_STEP)
    kT, generator = thermal_energy(300.0), torch.Generator().manual_seed(0)
    state = sampler.init(torch.cat([r.positions[:, :, :1] for r in references], dim=1))
    velocities = maxwell_boltzmann(topology, masses, state.positions, kT=kT, generator=generator)
    n_steps, thin = round(picoseconds * 1000 / TIME_STEP), 50
    broken = torch.zeros(topology.n_molecules, dtype=torch.bool)
    chain = sample(
        sampler, state._replace(velocities=velocities), kT=kT, n_steps=n_steps, generator=generator, thin=thin
    )
    for state, _ in chain:
        stretched = distance(state.positions, *topology.bonds)[:, 0] > BROKEN * parameters.bond_length
        broken[topology.molecule_of("bonds")[stretched]] = True
        broken |= ~torch.isfinite(state.energy[:, 0])
    return int((~broken).sum()), topology.n_molecules


if __name__ == "__main__":
    main()
