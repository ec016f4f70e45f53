"""Training for a given time, so that objectives and networks can be compared at equal cost."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import torch
from rdkit import Chem

from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel
from molebm.parametrise import mmff
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.run import sample
from molebm.topology import concatenate
from molebm.training.config import Stage, TrainingConfig
from molebm.training.evaluation import evaluate, evaluate_forces, is_broken, relax
from molebm.training.pool import Shards
from molebm.training.run import TrainingRun
from molebm.training.shards import Reference, at_temperature
from molebm.units import thermal_energy

TRIAL = 20  # updates that tell how long one takes
TEMPERATURE = 300.0  # K, of the dynamics


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
    topology = concatenate([r.topology for r in batch])
    parameters = model.parameters(topology)
    masses = repartition_hydrogen_mass(topology)
    sampler = baoab(MechanicalEnergy(topology, parameters), topology, masses=masses, time_step=2.0)
    kT, generator = thermal_energy(TEMPERATURE), torch.Generator().manual_seed(0)
    columns = at_temperature(batch[0], TEMPERATURE)[:n_chains]
    state = sampler.init(torch.cat([r.positions[:, :, columns] for r in batch], dim=1))
    velocities = maxwell_boltzmann(topology, masses, state.positions, kT=kT, generator=generator)
    n_steps = round(500 * picoseconds)
    chain = sample(
        sampler,
        state._replace(velocities=velocities),
        kT=kT,
        n_steps=n_steps,
        generator=generator,
        thin=n_steps,
    )
    ((last, _),) = chain
    return (~is_broken(topology, parameters.bond_length, last.positions)).flatten().tolist()


def _excess(model: LearnedModel, batch: list[Reference]) -> torch.Tensor:
    """Relax the reference's minima in the learned energy and back, (G,) kcal/mol per atom; NaN where that fails."""
    mols = [Chem.AddHs(Chem.MolFromSmiles(r.smiles)) for r in batch]
    topology = concatenate([r.topology for r in batch])
    learned = MechanicalEnergy(topology, model.parameters(topology))
    starts = torch.cat([r.minima[:, :, :4] for r in batch], dim=1)
    relaxed = relax(learned, MechanicalEnergy(topology, mmff()(mols, topology)), topology, starts)
    excess = torch.where(relaxed.converged, relaxed.excess, torch.nan)
    return (excess / topology.atoms_per_molecule()[:, None]).nanmedian(1).values
