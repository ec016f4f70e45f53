"""How close a learned energy comes to its reference, molecule by molecule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.energy import EnergyFn, EnergyForces, energy_and_forces
from molebm.forcefield.geometry import distance
from molebm.models.checkpoint import LearnedModel
from molebm.samplers.minimise import minimise
from molebm.topology import Topology, concatenate
from molebm.training.shards import Reference, at_temperature

MOLECULES_AT_ONCE = 16


class Agreement(NamedTuple):
    """Learned against reference energy over samples of each molecule, one entry per molecule."""

    pearson: Tensor  # (G,)
    slope: Tensor  # (G,) of the learned energy regressed on the reference
    rmse: Tensor  # (G,) kcal/mol, after removing each molecule's offset
    spread: Tensor  # (G,) kcal/mol, standard deviation of the reference energy


class ForceErrors(NamedTuple):
    """Learned against reference forces over samples of each molecule, one entry per molecule.

    Root mean squares over the Cartesian components; those of whole force vectors are √3 times as long.
    """

    rmse: Tensor  # (G,) kcal/mol/Å
    size: Tensor  # (G,) kcal/mol/Å, of the reference forces themselves


class Relaxed(NamedTuple):
    """Conformers at minima of the learned energy, and the minima of the reference energy that lie below them."""

    learned: Tensor  # (G, C) kcal/mol, learned energy of the learned minimum
    reference: Tensor  # (G, C) kcal/mol, reference energy of the reference minimum
    excess: Tensor  # (G, C) kcal/mol, reference energy of the learned minimum above that
    converged: Tensor  # (G, C) bool, both
    learned_positions: Tensor  # (3, N, C) Å
    reference_positions: Tensor  # (3, N, C) Å


def evaluate(model: LearnedModel, references: Sequence[Reference], temperature: float | None) -> Agreement:
    """Compare energies over the samples of one temperature in K, or of all when it is None."""
    parts = [
        agreement(learned.energy, torch.stack([reference.energies[columns] for reference in batch]))
        for batch, _, columns, learned in _on_samples(model, references, temperature)
    ]
    return Agreement(*(torch.cat(column) for column in zip(*parts, strict=True)))


def evaluate_forces(model: LearnedModel, references: Sequence[Reference], temperature: float | None) -> ForceErrors:
    """Compare forces over the samples of one temperature in K, or of all when it is None."""
    parts = [
        force_errors(topology, learned.forces, torch.cat([r.forces[:, :, columns] for r in batch], dim=1))
        for batch, topology, columns, learned in _on_samples(model, references, temperature)
    ]
    return ForceErrors(*(torch.cat(column) for column in zip(*parts, strict=True)))


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


def force_errors(topology: Topology, learned: Tensor, reference: Tensor) -> ForceErrors:
    """Compare two sets of forces (3, N, C) kcal/mol/Å."""
    n_components = 3 * topology.atoms_per_molecule()

    def root_mean_square(forces: Tensor) -> Tensor:
        return (topology.sum_atoms(forces.square().sum(0)).mean(1) / n_components).sqrt()

    return ForceErrors(rmse=root_mean_square(learned - reference), size=root_mean_square(reference))


def relax(
    learned: EnergyFn,
    reference: EnergyFn,
    topology: Topology,
    starts: Tensor,
    *,
    force_tolerance: float = 0.02,
    max_steps: int = 1500,
) -> Relaxed:
    """Relax conformers (3, N, C) Å in the learned energy and, from where they end, in the reference energy.

    Both minima belong to one conformer however far it was from either, so their distance says what the
    learned energy does to a structure, and their energies order the same conformers twice. The tolerance
    is in kcal/mol/Å, on the largest force on an atom.
    """
    above = minimise(learned, topology, starts, force_tolerance=force_tolerance, max_steps=max_steps)
    below = minimise(reference, topology, above.positions, force_tolerance=force_tolerance, max_steps=max_steps)
    return Relaxed(
        learned=above.energy,
        reference=below.energy,
        excess=energy_and_forces(reference, above.positions).energy - below.energy,
        converged=above.converged & below.converged,
        learned_positions=above.positions,
        reference_positions=below.positions,
    )


def superposed_rmsd(topology: Topology, a: Tensor, b: Tensor, weights: Tensor | None = None) -> Tensor:
    """Measure the root-mean-square distance of atoms after the best superposition, (G, C) Å.

    Conformers (3, N, C) are compared column by column, their atoms as they are numbered; all count the same
    unless `weights` (N,) say otherwise. Mirror images are not superposed.

    References
    ----------
    Kabsch, Acta Cryst. A34, 827 (1978).
    """
    w = torch.ones(topology.n_atoms, device=topology.device) if weights is None else weights
    w = w.double()[:, None]  # (N, 1)
    total = topology.sum_atoms(w)  # (G, 1)

    def centred(x: Tensor) -> Tensor:
        centre = topology.sum_atoms((w * x).movedim(1, 0)) / total[:, None]  # (G, 3, C)
        return x - centre[topology.molecule].movedim(1, 0)

    a, b = centred(a.double()), centred(b.double())
    products = a[:, None] * b[None, :] * w  # (3, 3, N, C)
    correlation = topology.sum_atoms(products.movedim(2, 0)).movedim(3, 1)  # (G, C, 3, 3)
    stretches = torch.linalg.svdvals(correlation)  # (G, C, 3), falling
    handedness = torch.linalg.det(correlation).sign()
    overlap = stretches[..., 0] + stretches[..., 1] + handedness * stretches[..., 2]
    spread = topology.sum_atoms(((a.square() + b.square()) * w).sum(0))  # (G, C)
    return ((spread - 2 * overlap).clamp(min=0) / total).sqrt()


def rank_correlation(a: Tensor, b: Tensor) -> Tensor:
    """Correlate the ranks of two sets of values (..., n), equal values sharing their mean rank: Spearman's ρ."""
    ranks = torch.stack([_ranks(a), _ranks(b)])
    ranks = ranks - ranks.mean(-1, keepdim=True)
    variance = ranks.square().mean(-1)
    return (ranks[0] * ranks[1]).mean(-1) / (variance[0] * variance[1]).sqrt()


def distinct(energies: Tensor, apart: float) -> Tensor:
    """Choose, from below, energies (C,) farther than `apart` from those chosen before; indices, rising in energy.

    Equal conformers have equal energies, and so have mirror images and conformers that differ by a symmetry.
    """
    chosen: list[int] = []
    for index in energies.argsort().tolist():
        if not chosen or energies[index] - energies[chosen[-1]] > apart:
            chosen.append(index)
    return torch.tensor(chosen, dtype=torch.int64)


def effective_sample_size(log_weights: Tensor) -> Tensor:
    """Fraction of samples (..., C) that count after reweighting: 1 for equal weights, 1/C for a single one.

    References
    ----------
    Kish, Survey Sampling (Wiley, 1965).
    """
    weights = torch.softmax(log_weights.double(), dim=-1)
    return 1 / (weights.square().sum(-1) * weights.shape[-1])


def is_broken(topology: Topology, bond_length: Tensor, positions: Tensor, *, stretch: float = 1.5) -> Tensor:
    """Whether a bond is longer than `stretch` times its length (B,) Å, or an atom lost; (G, C) bool."""
    whole = distance(positions, *topology.bonds) <= stretch * bond_length[:, None]  # (B, C), False for NaN
    lost = ~torch.isfinite(positions).all(0)  # (N, C)
    faults = topology.sum_atoms(lost.long())
    return faults.index_add(0, topology.molecule_of("bonds"), (~whole).long()) > 0


def _on_samples(
    model: LearnedModel, references: Sequence[Reference], temperature: float | None
) -> Iterator[tuple[Sequence[Reference], Topology, Tensor, EnergyForces]]:
    """Evaluate the model on samples, a batch of molecules after another."""
    for start in range(0, len(references), MOLECULES_AT_ONCE):
        batch = references[start : start + MOLECULES_AT_ONCE]
        topology = concatenate([reference.topology for reference in batch])
        columns = torch.arange(len(batch[0].temperatures))
        if temperature is not None:
            columns = at_temperature(batch[0], temperature)
        positions = torch.cat([reference.positions[:, :, columns] for reference in batch], dim=1)
        yield batch, topology, columns, energy_and_forces(model.energy(topology), positions)


def _ranks(values: Tensor) -> Tensor:
    difference = values[..., :, None] - values[..., None, :]
    return ((difference > 0).sum(-1) + (difference >= 0).sum(-1)) / 2
