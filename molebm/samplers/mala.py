"""The Metropolis-adjusted Langevin algorithm."""

from typing import NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.samplers.sampler import Sampler, State, over_atoms
from molebm.topology import Topology


class MalaInfo(NamedTuple):
    """How each conformer fared against the Metropolis test."""

    acceptance: Tensor  # (G, C) probability that the proposal had of being accepted
    accepted: Tensor  # (G, C) bool


def mala(energy_fn: EnergyFn, topology: Topology, *, step_size: float) -> Sampler[State, MalaInfo]:
    r"""Metropolis-adjusted Langevin, one accept/reject per conformer of each molecule.

    Proposes :math:`x' = x + \alpha F(x) + \eta` with :math:`\eta = \sqrt{2\alpha kT}\,\xi` and leaves
    :math:`e^{-E/kT}` invariant at any step size. A proposal whose energy or forces are not finite has
    acceptance 0, so a chain that starts at a structure never leaves the structures.

    Parameters
    ----------
    step_size
        :math:`\alpha` in Å²/(kcal/mol), as in `sgld`. Stability along a mode of curvature :math:`\lambda`
        depends on :math:`\alpha\lambda` alone, so one step size serves every temperature of a ladder.

    Notes
    -----
    With :math:`g = F(x) + F(x')` the log of the Metropolis-Hastings ratio is
    :math:`[E(x) - E(x') - \tfrac12 g\cdot(\eta + \tfrac\alpha2 g)]/kT`: the squares of the two proposal
    densities are expanded, which spares float32 the difference of two large sums.

    References
    ----------
    Roberts and Tweedie, Bernoulli 2(4), 341 (1996).
    """

    def init(positions: Tensor) -> State:
        return State(positions.detach(), *energy_and_forces(energy_fn, positions))

    def step(state: State, kT: float | Tensor, generator: Generator) -> tuple[State, MalaInfo]:
        noise = torch.empty_like(state.positions).normal_(generator=generator)
        noise *= (2 * step_size * over_atoms(kT, topology)) ** 0.5  # η
        new = init(torch.add(state.positions, noise).add_(state.forces, alpha=step_size))

        g = state.forces + new.forces
        work = topology.sum_atoms(noise.add_(g, alpha=step_size / 2).mul_(g).sum(0)) / 2  # (G, C)
        log_ratio = (state.energy - new.energy - work) / kT
        acceptance = log_ratio.clamp(max=0).exp().nan_to_num(nan=0.0) * new.energy.isfinite()
        accepted = torch.empty_like(acceptance).uniform_(generator=generator) < acceptance
        atoms = accepted[topology.molecule]  # (N, C)
        return State(
            torch.where(atoms, new.positions, state.positions),
            torch.where(accepted, new.energy, state.energy),
            torch.where(atoms, new.forces, state.forces),
        ), MalaInfo(acceptance, accepted)

    return Sampler(init, step)
