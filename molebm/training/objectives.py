"""Every objective that a run can be told to follow, applied to one batch."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.training import config
from molebm.training.boltzmann_cross_entropy import boltzmann_cross_entropy
from molebm.training.conditional_nce import conditional_nce
from molebm.training.contrastive_divergence import contrastive_divergence, energy_magnitude
from molebm.training.denoising_score_matching import denoising_score_matching, multilevel_denoising_score_matching
from molebm.training.force_matching import force_matching
from molebm.training.info_nce import info_nce, noised_negatives
from molebm.training.negatives import Negatives
from molebm.training.pool import Batch
from molebm.training.sliced_score_matching import sliced_score_matching
from molebm.units import BOLTZMANN


def contrast(settings: config.Chains, energy_fn: EnergyFn, batch: Batch, negatives: Negatives) -> Tensor:
    """Hold the data against the model's own samples."""
    kT = BOLTZMANN * batch.temperatures
    atoms = batch.topology.atoms_per_molecule()[:, None]
    data, model = energy_fn(torch.cat([batch.positions, negatives.positions], dim=-1)).chunk(2, dim=-1)
    loss = contrastive_divergence(data, model, kT, floor=settings.floor * (3 * atoms).sqrt())
    if settings.regularisation:
        loss = loss + settings.regularisation * energy_magnitude(data, model, kT, atoms)
    return loss


def loss_of(settings: config.Objective, energy_fn: EnergyFn, batch: Batch, noise: Generator) -> Tensor:
    """Apply an objective that needs no chains to the data of a batch.

    Parameters
    ----------
    noise
        On the device of the positions.
    """
    kT = BOLTZMANN * batch.temperatures
    x = batch.positions
    match settings:
        case config.ConditionalNce():
            noised = x + _widths(settings.noise, batch, noise) * torch.empty_like(x).normal_(generator=noise)
            energy, energy_noised = energy_fn(torch.cat([x, noised], dim=-1)).chunk(2, dim=-1)
            return conditional_nce(energy, energy_noised, kT)
        case config.InfoNce():
            widths = _widths(settings.noise, batch, noise)
            negatives = noised_negatives(x, widths, count=settings.negatives, generator=noise)
            energy = energy_fn(torch.cat([x, negatives], dim=-1))
            return info_nce(energy[:, : x.shape[2]], energy[:, x.shape[2] :], kT)
        case config.DenoisingScoreMatching():
            return denoising_score_matching(energy_fn, x, settings.noise, kT, generator=noise)
        case config.MultilevelDenoisingScoreMatching():
            widths = _widths(settings.noise, batch, noise)
            return multilevel_denoising_score_matching(energy_fn, x, widths, kT, generator=noise)
        case config.SlicedScoreMatching():
            return sliced_score_matching(energy_fn, x, kT, generator=noise, projections=settings.projections)
        case config.ForceMatching():
            return force_matching(energy_fn, x, batch.forces)
        case config.BoltzmannCrossEntropy():
            references = [member.reference for member in batch.members]
            minima = torch.cat([reference.minima for reference in references], dim=1).to(x)
            energies = torch.stack([reference.minima_energies for reference in references]).to(x)
            return boltzmann_cross_entropy(energy_fn(minima), energies, BOLTZMANN * settings.temperature)
    raise TypeError(f"{settings.objective} draws chains: use contrast")


def _widths(noise: tuple[float, float], batch: Batch, generator: Generator) -> Tensor:
    """Draw one width in Å for each column, log-uniformly, (C,)."""
    low, high = (math.log(width) for width in noise)
    return torch.empty_like(batch.temperatures).uniform_(low, high, generator=generator).exp()
