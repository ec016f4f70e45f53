"""An energy for every level of noise: pairs of atoms at blurred distances, and the stereo that was declared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import softplus

from molebm.family.blurred_distance import log_blurred_shell, mean_pull
from molebm.forcefield import geometry
from molebm.models.couplings import smooth_cos_torsion
from molebm.topology import Topology


@dataclass(frozen=True, slots=True)
class NoiseTerms:
    """What the network says of a topology at L knots in ln σ; P pairs of M wells, S centres, D double bonds."""

    pairs: Tensor  # (2, P) int64, all pairs of atoms of each molecule
    radius: Tensor  # (M, P, L) Å
    spread: Tensor  # (M, P, L) Å², of each component, beside what the noise adds
    share: Tensor  # (M, P, L) logits of the wells
    weight: Tensor  # (P, L) by how much a pair counts: distances depend on one another
    centre: Tensor  # (2, S, L) height in kT and steepness of the term of a stereo centre
    double_bond: Tensor  # (2, D, L) likewise
    knots: Tensor  # (L,) ln σ, rising

    def at(self, sigmas: Tensor) -> Level:
        """Take the terms at a width of noise in Å for each conformer, (C,), or at one for all, (1,)."""
        between = hats(sigmas.log(), self.knots)  # (L, C)
        return Level(
            self.pairs,
            self.radius @ between,
            self.spread @ between + 2 * sigmas.square(),
            torch.log_softmax(self.share @ between, dim=0),
            self.weight @ between,
            self.centre @ between,
            self.double_bond @ between,
        )


class Level(NamedTuple):
    """The terms at one width of noise for each conformer, or at one for all."""

    pairs: Tensor  # (2, P) int64
    radius: Tensor  # (M, P, C or 1) Å
    variance: Tensor  # (M, P, C or 1) Å²
    log_share: Tensor  # (M, P, C or 1)
    weight: Tensor  # (P, C or 1)
    centre: Tensor  # (2, S, C or 1)
    double_bond: Tensor  # (2, D, C or 1)


def reduced_energy(topology: Topology, level: Level, positions: Tensor) -> Tensor:
    r"""Evaluate :math:`E/kT` of positions (3, N, C) Å at a level, giving (G, C).

    .. math:: \frac{E}{kT} = -\sum_{i<j} w_{ij} \ln \sum_m \pi_{ijm}\, p_{\mu_{ijm}, v_{ijm}}(r_{ij})
              + \sum_s h_s \ln\left(1 + e^{-\kappa_s u_s}\right)

    with the blurred shells of `log_blurred_shell`, and :math:`u_s` 1 where a centre or double bond is as declared
    and -1 where it is inverted. Distances alone cannot tell a molecule from its mirror image; this can.
    """
    apart = geometry.distance(positions, *level.pairs)  # (P, C)
    wells = log_blurred_shell(apart, level.radius, level.variance) + level.log_share  # (M, P, C)
    energy = positions.new_zeros((topology.n_molecules, positions.shape[2]))
    energy = energy.index_add(0, topology.molecule[level.pairs[0]], -level.weight * torch.logsumexp(wells, dim=0))
    return energy + stereo_energy(topology, level, positions)


def floor_energy(topology: Topology, level: Level) -> Tensor:
    """E/kT if every pair could be at the likeliest of its distances, and all stereo as declared, (G, C or 1)."""
    wells = log_blurred_shell(level.radius, level.radius, level.variance) + level.log_share  # (M, P, C or 1)
    pairs = -level.weight * wells.amax(0)
    energy = pairs.new_zeros((topology.n_molecules, pairs.shape[1]))
    return energy.index_add(0, topology.molecule[level.pairs[0]], pairs)


def reduced_forces(topology: Topology, level: Level, positions: Tensor) -> Tensor:
    """Evaluate the score, the negative gradient of `reduced_energy` by the positions, (3, N, C) 1/Å.

    That of the pairs is written out, which spares training a derivative of derivatives.
    """
    i, j = level.pairs
    step = positions.index_select(1, j) - positions.index_select(1, i)
    apart = geometry.norm(step)
    wells = log_blurred_shell(apart, level.radius, level.variance) + level.log_share
    pulls = mean_pull(apart, level.radius, level.variance)
    pull = level.weight * (torch.softmax(wells, dim=0) * pulls).sum(0)
    along = pull / apart * step  # (3, P, C)
    forces = torch.zeros_like(positions).index_add(1, j, along).index_add(1, i, -along)
    if topology.stereo_signs.numel() + topology.stereo_cis.numel() == 0:
        return forces
    learning = level.weight.requires_grad
    with torch.enable_grad():
        x = positions if positions.requires_grad else positions.detach().requires_grad_()
        energy = stereo_energy(topology, level, x).sum()
        (gradient,) = torch.autograd.grad(energy, x, create_graph=learning)
    return forces - gradient


def stereo_energy(topology: Topology, level: Level, positions: Tensor) -> Tensor:
    """Evaluate what inverted centres and double bonds cost, (G, C) in kT."""
    energy = positions.new_zeros((topology.n_molecules, positions.shape[2]))
    handed = topology.stereo_signs[:, None] * relative_volume(positions, topology.stereo_centres)
    energy = energy.index_add(0, topology.molecule[topology.stereo_centres[0]], _penalty(level.centre, handed))
    sides = torch.where(topology.stereo_cis, 1.0, -1.0)[:, None] * smooth_cos_torsion(positions, topology.stereo_bonds)
    return energy.index_add(0, topology.molecule[topology.stereo_bonds[0]], _penalty(level.double_bond, sides))


def relative_volume(positions: Tensor, centres: Tensor) -> Tensor:
    """Triple product about a centre over that of a regular tetrahedron with arms as long, smooth at nought; (S, C)."""
    o, a, b, c = (positions.index_select(1, row) for row in centres)
    arms = (geometry.square(a - o) + geometry.square(b - o) + geometry.square(c - o)) / 3
    return geometry.triple_product(positions, centres) / (0.77 * (arms + 0.1) ** 1.5)


def hats(at: Tensor, knots: Tensor) -> Tensor:
    """Weights of linear interpolation between rising knots (L,), constant beyond them, at (C,); (L, C)."""
    place = torch.searchsorted(knots, at.contiguous()).clamp(1, len(knots) - 1)
    share = ((at - knots[place - 1]) / (knots[place] - knots[place - 1])).clamp(0, 1)
    weights = at.new_zeros((len(knots), len(at)))
    return weights.scatter(0, place[None], share[None]).scatter(0, place[None] - 1, 1 - share[None])


def _penalty(term: Tensor, agreement: Tensor) -> Tensor:
    height, steepness = term
    return height * softplus(-steepness * agreement)
