"""Training for a given time, so that objectives and networks can be compared at equal cost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import click
import torch
from learned_dynamics import broken_at_checks
from rdkit import Chem

from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel
from molebm.parametrise import mmff
from molebm.topology import concatenate
from molebm.training.config import Stage, TrainingConfig
from molebm.training.evaluation import evaluate, evaluate_forces, relax
from molebm.training.pool import Shards
from molebm.training.run import TrainingRun
from molebm.training.shards import Reference, read_references, verified_shards

TRIAL = 20  # updates that tell how long one takes


class Trained(NamedTuple):
    """A model, and what it cost."""

    model: LearnedModel
    updates: int
    ms_per_update: float  # of processor time


class Quality(NamedTuple):
    """Medians over molecules of unseen scaffolds, against the reference."""

    pearson: float  # of energies at 500 K
    slope: float
    rmse: float  # kcal/mol
    mixed: float  # Pearson r over all temperatures
    forces: float  # kcal/mol/Å, root mean square over components
    valid: float  # fraction of structures without a broken bond after the dynamics
    excess: float  # kcal/mol per atom, reference energy of relaxed structures above their reference minimum

    HEADER = (
        "| {} | updates | ms/update | r, 500 K | r, 300-800 K | slope | RMSE, kcal/mol | forces, kcal/mol/Å "
        "| valid | excess, kcal/mol/atom |\n|---|---|---|---|---|---|---|---|---|---|"
    )

    def row(self, label: str, trained: Trained) -> str:
        return (
            f"| {label} | {trained.updates} | {trained.ms_per_update:.0f} | {self.pearson:.4f} | {self.mixed:.4f} "
            f"| {self.slope:.3f} | {self.rmse:.2f} | {self.forces:.2f} | {100 * self.valid:.0f} % | {self.excess:.3f} |"
        )


class Row(NamedTuple):
    """One line of a comparison."""

    label: str
    settings: dict[str, Any]  # of the run, beside those that all rows share
    changed: Callable[[], AbstractContextManager] = nullcontext  # what else is different while it runs


class Comparison(NamedTuple):
    """What all rows share, as the command line has it."""

    references: Path
    minutes: float
    n_shards: int
    molecules: int
    picoseconds: float
    only: tuple[str, ...]


def comparison_command(picoseconds: float) -> Callable[[Callable], click.Command]:
    """Make a command of a function that takes a `Comparison`; `picoseconds` is the default of its dynamics."""

    def decorate(function: Callable[[Comparison], None]) -> click.Command:
        @click.command(help=function.__doc__)
        @click.argument("references", type=click.Path(exists=True, path_type=Path))
        @click.option("--minutes", default=3.0, show_default=True, help="Of processor time, for each row.")
        @click.option("--shards", "n_shards", default=32, show_default=True, help="Train on the first so many.")
        @click.option("--molecules", default=100, show_default=True, help="Unseen molecules to evaluate on.")
        @click.option("--picoseconds", default=picoseconds, show_default=True, help="Of dynamics at 300 K.")
        @click.option("--only", multiple=True, help="Rows to run, by a part of their name; all if left out.")
        def command(
            references: Path, minutes: float, n_shards: int, molecules: int, picoseconds: float, only: tuple[str, ...]
        ) -> None:
            function(Comparison(references, minutes, n_shards, molecules, picoseconds, only))

        return command

    return decorate


def compare(asked: Comparison, heading: str, rows: Iterable[Row]) -> None:
    """Train and evaluate one row after the other, and print each as soon as it is there."""
    torch.set_num_threads(1)
    shards = Shards(list(islice(verified_shards(asked.references), asked.n_shards)), "train", 0)
    unseen = list(islice(read_references(asked.references, "test"), asked.molecules))
    click.echo(f"{asked.minutes:g} minutes of one core for each row, {len(unseen)} unseen molecules\n")
    click.echo(Quality.HEADER.format(heading))
    for row in rows:
        if asked.only and not any(part in row.label for part in asked.only):
            continue
        shared = {"columns": 24, "pool": {"shards": asked.n_shards}}
        config = TrainingConfig.model_validate({**shared, **row.settings})
        with row.changed():
            trained = train_for(asked.minutes, config, shards)
            found = quality(trained.model, unseen, picoseconds=asked.picoseconds)
        click.echo(found.row(row.label, trained))


def train_for(minutes: float, config: TrainingConfig, shards: Shards) -> Trained:
    """Train for some minutes of processor time, the updates of the stages shared out as the configuration has them."""
    run = TrainingRun(_scaled(config, TRIAL * len(config.stages)), shards, torch.device("cpu"))
    cost = []  # seconds, of one update of each stage
    for stage in run.config.stages:
        started = time.process_time()
        for _ in range(stage.updates):
            run.advance()
        cost.append((time.process_time() - started) / stage.updates)
    shares = [stage.updates / config.total_updates for stage in config.stages]
    mean_cost = sum(share * seconds for share, seconds in zip(shares, cost, strict=True))
    run = TrainingRun(_scaled(config, round(60 * minutes / mean_cost)), shards, torch.device("cpu"))
    started = time.process_time()
    for _ in range(run.config.total_updates):
        run.advance()
    seconds = time.process_time() - started
    return Trained(run.model(), run.n_updates, 1000 * seconds / run.n_updates)


def quality(model: LearnedModel, references: list[Reference], *, picoseconds: float, n_chains: int = 8) -> Quality:
    """Evaluate a model on unseen molecules: energies, forces, dynamics and relaxation."""
    energies, mixed = evaluate(model, references, 500.0), evaluate(model, references, None)
    dynamics = [part for batch in _batches(references) for part in _validity(model, batch, picoseconds, n_chains)]
    excess = torch.cat([_excess(model, batch) for batch in _batches(references)])
    return Quality(
        pearson=energies.pearson.median().item(),
        slope=energies.slope.median().item(),
        rmse=energies.rmse.median().item(),
        mixed=mixed.pearson.median().item(),
        forces=evaluate_forces(model, references, 500.0).rmse.median().item(),
        valid=sum(dynamics) / len(dynamics),
        excess=excess.nanmedian().item(),
    )


def _scaled(config: TrainingConfig, updates: int) -> TrainingConfig:
    """Share out another number of updates among the stages."""
    factor = updates / config.total_updates
    stages = tuple(
        Stage(updates=max(1, round(stage.updates * factor)), objectives=stage.objectives) for stage in config.stages
    )
    return config.model_copy(update={"stages": stages})


def _batches(references: list[Reference]) -> Iterator[list[Reference]]:
    for start in range(0, len(references), 16):
        yield references[start : start + 16]


def _validity(model: LearnedModel, batch: list[Reference], picoseconds: float, n_chains: int) -> list[bool]:
    (broken,) = broken_at_checks(model, batch, picoseconds, n_chains, check_every=None)
    return (~broken).flatten().tolist()


def _excess(model: LearnedModel, batch: list[Reference]) -> torch.Tensor:
    """Relax the reference's minima in the learned energy and back, (G,) kcal/mol per atom; NaN where that fails."""
    mols = [Chem.AddHs(Chem.MolFromSmiles(r.smiles)) for r in batch]
    topology = concatenate([r.topology for r in batch])
    learned = MechanicalEnergy(topology, model.parameters(topology))
    starts = torch.cat([r.minima[:, :, :4] for r in batch], dim=1)
    relaxed = relax(learned, MechanicalEnergy(topology, mmff()(mols, topology)), topology, starts)
    excess = torch.where(relaxed.converged, relaxed.excess, torch.nan)
    return (excess / topology.atoms_per_molecule()[:, None]).nanmedian(1).values
