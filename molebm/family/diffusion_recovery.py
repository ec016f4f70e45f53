"""Diffusion as a hierarchy of energies: each recovers what the next level of noise has blurred."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor

from molebm.family.conformers import Conformers
from molebm.family.interface import Data, Moment, State, Step
from molebm.family.noise_model import NETWORK, NoiseConfig, NoiseModel, generator_on
from molebm.family.noise_terms import NoiseTerms, reduced_energy, reduced_forces
from molebm.samplers.annealed_langevin import cloud
from molebm.topology import Topology
from molebm.training.config import Count


class DiffusionConfig(NoiseConfig):
    """How a hierarchy of conditional energies is trained."""

    model: Literal["diffusion_recovery"] = "diffusion_recovery"
    levels: Annotated[int, Field(ge=2)] = 24  # of noise, from sigma_min to sigma_max
    n_steps: Count = 10  # of Langevin dynamics, for each negative
    step: Annotated[float, Field(gt=0, lt=1)] = 0.3  # ε, in units of the narrowest that the conditional can be


class DiffusionModel(NoiseModel):
    r"""An energy for each level, learned as that of the conditional density of a level given the next.

    .. math:: p(x_t \mid x_{t+1}) \propto \exp\Bigl(-\frac{E(x_t, \sigma_t)}{kT}
              - \frac{|x_{t+1} - x_t|^2}{2(\sigma_{t+1}^2 - \sigma_t^2)}\Bigr)

    The spring makes the conditional nearly unimodal, so that short Langevin chains from :math:`x_{t+1}` sample it:
    contrastive divergence that needs no long chains. Going down all levels makes conformers from noise.

    References
    ----------
    Gao, Song, Poole, Wu and Kingma, ICLR 2021, arXiv:2012.08125.
    """

    kind = "diffusion_recovery"
    Config = DiffusionConfig

    def __init__(
        self, temperature: float, *, levels: int = 24, n_steps: int = 10, step: float = 0.3, **network: Any
    ) -> None:
        super().__init__(temperature, **network)
        self.hierarchy = {"levels": levels, "n_steps": n_steps, "step": step}

    @classmethod
    def build(cls, config: DiffusionConfig, data: Data) -> DiffusionModel:
        network = {name: getattr(config, name) for name in NETWORK}
        model = cls(config.temperature, levels=config.levels, n_steps=config.n_steps, step=config.step, **network)
        return model.begun(config.begin_with)

    def settings(self) -> dict[str, Any]:
        return {**super().settings(), **self.hierarchy}

    def step(self, batch: Conformers, state: State, config: DiffusionConfig, moment: Moment) -> Step:
        low, high = self.widths
        ladder = levels(low, high, config.levels).to(batch.positions)
        t = torch.randint(
            config.levels - 1, batch.positions.shape[-1:], generator=moment.generator, device=ladder.device
        )
        here, above = ladder[t], ladder[t + 1]  # (C,) Å
        x = batch.positions + here * _normal(batch.positions, moment.generator)
        noised = x + rung(here, above) * _normal(x, moment.generator)
        terms = self.terms(batch.topology)
        force = level_forces(batch.topology, terms, here)
        negatives = recovered(
            force, noised, here, above, n_steps=config.n_steps, step=config.step, generator=moment.generator
        )
        loss, gap = recovery_loss(batch.topology, terms, here, x, negatives)
        return Step(loss, {"gap": gap}, {})

    def sample(self, topology: Topology, n: int, generators: Sequence[Generator]) -> Tensor:
        """Recover level after level from a cloud, by the chains that the model was trained with."""
        low, high = self.widths
        bound = self.bound(topology)
        *_, found = descend(
            lambda sigma: bound(sigma).score,
            cloud(topology, high, n, generators),
            levels(low, high, int(self.hierarchy["levels"])).to(topology.device),
            n_steps=int(self.hierarchy["n_steps"]),
            step=self.hierarchy["step"],
            generator=generator_on(topology.device, generators),
        )
        return found + low**2 * bound(low).score(found)


def level_forces(topology: Topology, terms: NoiseTerms, sigmas: Tensor) -> Callable[[Tensor], Tensor]:
    """Score at the widths (C,) Å, detached."""
    with torch.no_grad():
        level = terms.at(sigmas)

    def forces(positions: Tensor) -> Tensor:
        with torch.no_grad():
            return reduced_forces(topology, level, positions)

    return forces


def levels(lowest: float, highest: float, n: int) -> Tensor:
    """Space n widths of noise by a constant factor, rising, (n,) Å."""
    return torch.linspace(math.log(lowest), math.log(highest), n).exp()


def rung(here: Tensor, above: Tensor) -> Tensor:
    """Width of the noise between two levels, Å."""
    return (above.square() - here.square()).sqrt()


def recovered(
    score: Callable[[Tensor], Tensor],
    noised: Tensor,
    here: Tensor,
    above: Tensor,
    *,
    n_steps: int,
    step: float,
    generator: Generator,
) -> Tensor:
    r"""Sample what was before a rung of noise, by Langevin steps from what is after it, (3, N, C) Å.

    The conditional is nowhere narrower than :math:`v = \sigma_t^2 (\sigma_{t+1}^2 - \sigma_t^2)/\sigma_{t+1}^2` if the
    energy is that of a blurred density, and steps are :math:`\epsilon v`. A harmonic mode of variance :math:`v_c \ge v`
    comes out with :math:`v_c/(1 - \epsilon v/2v_c)`.

    Parameters
    ----------
    score
        Of the level, 1/Å.
    here, above
        Å, widths of the level and of the next, of all or for each conformer (C,).
    """
    between = above.square() - here.square()  # Å²
    alpha = step * here.square() * between / above.square()
    x = noised
    for _ in range(n_steps):
        drift = score(x) + (noised - x) / between
        x = x + alpha * drift + (2 * alpha).sqrt() * _normal(x, generator)
    return x


def recovery_loss(
    topology: Topology, terms: NoiseTerms, sigmas: Tensor, data: Tensor, negatives: Tensor
) -> tuple[Tensor, float]:
    """Energy per atom down on data and up on negatives, and by how much the negatives lie above, kT per atom.

    The spring is no part of the model, and the partition functions of the conditionals need not be known.
    """
    atoms = topology.atoms_per_molecule()[:, None]
    energy = reduced_energy(topology, terms.at(sigmas.repeat(2)), torch.cat([data, negatives], dim=-1)) / atoms
    of_data, of_negatives = energy.chunk(2, dim=-1)
    gap = of_negatives - of_data
    return -gap.mean(), gap.mean().item()


def descend(
    score_at: Callable[[float], Callable[[Tensor], Tensor]],
    positions: Tensor,
    widths: Tensor,
    *,
    n_steps: int,
    generator: Generator,
    step: float = 0.3,
) -> Iterator[Tensor]:
    """Recover level after level from a cloud at the highest of the widths (n,) Å, and yield (3, N, C) Å after each.

    The widths rise; `score_at` gives the score, 1/Å, at one of them.
    """
    for here, above in zip(widths[:-1].flip(0), widths[1:].flip(0), strict=True):
        positions = recovered(
            score_at(float(here)), positions, here, above, n_steps=n_steps, step=step, generator=generator
        )
        yield positions


def _normal(like: Tensor, generator: Generator) -> Tensor:
    return torch.empty_like(like).normal_(generator=generator)
