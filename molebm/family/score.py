"""Score-based model: the score of conformers at many levels of noise, as the gradient of an energy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, Literal

import torch
from torch import Generator, Tensor

from molebm.family.conformers import Conformers
from molebm.family.interface import Moment, State, Step
from molebm.family.noise_model import NoiseConfig, NoiseModel, generator_on
from molebm.family.noise_terms import NoiseTerms, reduced_forces
from molebm.samplers.annealed_langevin import annealed_langevin, cloud, denoised, geometric_levels
from molebm.topology import Topology

LEVELS: Final = 24  # of noise, when conformers are made
STEPS: Final = 8  # of Langevin dynamics at each
STEP: Final = 0.2  # in units of the variance of the noise


class ScoreConfig(NoiseConfig):
    """How a score-based model is trained."""

    model: Literal["score"] = "score"


class ScoreModel(NoiseModel):
    r"""One energy for every level of noise, :math:`s_\sigma(x) = -\nabla E(x, \sigma)/kT`, learned by denoising.

    .. math:: L = \tfrac12 \langle |\sigma s_\sigma(x + \sigma\xi) + \xi|^2 \rangle

    The score is the gradient of an energy by construction, so it has no curl, and at every level it is that of
    the data blurred by :math:`\sigma`.

    References
    ----------
    Song and Ermon, NeurIPS 2019, arXiv:1907.05600; Salimans and Ho, Energy Based Models Workshop, ICLR 2021, for
    scores that are gradients; Shi, Luo, Xu and Tang, ICML 2021, arXiv:2105.03902, for conformers.
    """

    kind = "score"
    Config = ScoreConfig

    def step(self, batch: Conformers, state: State, config: ScoreConfig, moment: Moment) -> Step:
        sigmas = self.drawn_widths(batch.positions, moment.generator)
        loss = denoising_loss(batch.topology, self.terms(batch.topology), batch.positions, sigmas, moment.generator)
        return Step(loss, {"denoising": loss.item()}, {})

    def evaluate(self, batch: Conformers, generator: Generator) -> dict[str, float]:
        """The loss at three levels, from little noise to much; a model that knows nothing has 1/2."""
        terms = self.terms(batch.topology)
        low, high = self.widths
        found = {}
        for name, sigma in (("low", low), ("middle", (low * high) ** 0.5), ("high", high)):
            sigmas = batch.positions.new_full(batch.positions.shape[-1:], sigma)
            found[name] = float(denoising_loss(batch.topology, terms, batch.positions, sigmas, generator))
        return found

    def sample(self, topology: Topology, n: int, generators: Sequence[Generator]) -> Tensor:
        """Anneal a cloud by Langevin dynamics, and take the last noise off."""
        low, high = self.widths
        *_, (state, sigma) = annealed_langevin(
            self.bound(topology),
            topology,
            cloud(topology, high, n, generators),
            geometric_levels(high, low, LEVELS),
            kT=self.kT,
            steps_per_level=STEPS,
            step=STEP,
            generator=generator_on(topology.device, generators),
        )
        return denoised(state, sigma, self.kT)

    def drawn_widths(self, positions: Tensor, generator: Generator) -> Tensor:
        """Draw a width in Å for each column, log-uniformly, (C,)."""
        low, high = (math.log(width) for width in self.widths)
        return positions.new_empty(positions.shape[-1]).uniform_(low, high, generator=generator).exp()


def denoising_loss(
    topology: Topology, terms: NoiseTerms, positions: Tensor, sigmas: Tensor, generator: Generator
) -> Tensor:
    """Hold the score of noised conformers (3, N, C) Å against the way back, each column at its width (C,) Å."""
    noise = torch.empty_like(positions).normal_(generator=generator)
    score = reduced_forces(topology, terms.at(sigmas), positions + sigmas * noise)
    return (sigmas * score + noise).square().mean() / 2
