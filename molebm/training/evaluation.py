"""How close a learned energy comes to its reference, molecule by molecule."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel
from molebm.topology import concatenate
from molebm.training.shards import Reference, at_temperature


class Agreement(NamedTuple):
    """Learned against reference energy over samples of each molecule, one entry per molecule."""

    pearson: Tensor  # (G,)
    slope: Tensor  # (G,) of the learned energy regressed on the reference
    rmse: Tensor  # (G,) kcal/mol, after removing each molecule's offset
    spread: Tensor  # (G,) kcal/mol, standard deviation of the reference energy


def evaluate(model: LearnedModel, references: Sequence[Reference], temperature: float | None) -> Agreement:
    """Compare energies over the samples of one temperature in K, or of all when it is None."""
    return Agreement(*(torch.cat(column) for column in zip(*_in_batches(model, references, temperature), strict=True)))


def agreement(learned: Tensor, reference: Tensor) -> Agreement:
    """Compare two sets of energies (G, C) kcal/mol, each molecule's offset removed."""
    learned = learned - learned.mean(1, keepdim=True)
    reference = reference - reference.mean(1, keepdim=True)
    covariance = (learned * reference).mean(1)
    variance, spread = learned.square().mean(1), reference.square().mean(1)
    return Agreement(
        pearson=covariance / (variance * spread).sqrt(),
        slope=covariance / spread,
        rmse=(learned - reference).square().mean(1).sqrt(),
        spread=spread.sqrt(),
    )


def _in_batches(model: LearnedModel, references: Sequence[Reference], temperature: float | None) -> Iterable[Agreement]:
    for start in range(0, len(references), 16):
        batch = references[start : start + 16]
        topology = concatenate([reference.topology for reference in batch])
        columns = slice(None) if temperature is None else at_temperature(batch[0], temperature)
        positions = torch.cat([reference.positions[:, :, columns] for reference in batch], dim=1)
        learned = MechanicalEnergy(topology, model.parameters(topology)).energy_and_forces(positions).energy
        yield agreement(learned, torch.stack([reference.energies[columns] for reference in batch]))
