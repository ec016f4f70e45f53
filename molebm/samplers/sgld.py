"""Stochastic gradient Langevin dynamics: Langevin without the Metropolis test."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.samplers.sampler import Sampler, State, over_atoms
from molebm.topology import Topology


class SgldInfo(NamedTuple):
    """Whether each conformer is still a structure."""

    finite: Tensor  # (G, C) bool


def sgld(energy_fn: EnergyFn, topology: Topology, *, step_size: float) -> Sampler[State, SgldInfo]:
    r"""Move by :math:`x' = x - \alpha\nabla E(x) + \sqrt{2\alpha kT}\,\xi` and accept whatever comes.

    Cheap and biased: along a mode of curvature :math:`\lambda` the stationary variance is
    :math:`(kT/\lambda)/(1 - \alpha\lambda/2)`, and the chain diverges for :math:`\alpha\lambda \ge 2`.
    A conformer that diverges stays non-finite from then on. From starts with clashes, anneal with
    `capped_forces`, then sample without it.

    Parameters
    ----------
    step_size
        :math:`\alpha` in Å²/(kcal/mol).

    References
    ----------
    Welling and Teh, ICML 681 (2011); Roberts and Tweedie, Bernoulli 2(4), 341 (1996), for the bias.
    """

    def init(positions: Tensor) -> State:
        return State(positions.detach(), *energy_and_forces(energy_fn, positions))

    def step(state: State, kT: float | Tensor, generator: Generator) -> tuple[State, SgldInfo]:
        noise = torch.empty_like(state.positions).normal_(generator=generator)
        noise *= (2 * step_size * over_atoms(kT, topology)) ** 0.5
        new = init(noise.add_(state.positions).add_(state.forces, alpha=step_size))
        return new, SgldInfo(new.energy.isfinite())

    return Sampler(init, step)
