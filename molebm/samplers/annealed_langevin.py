"""Annealed Langevin dynamics: from a cloud of noise to structures, through ever narrower noise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.samplers.mala import mala
from molebm.samplers.sampler import Sampler, State
from molebm.samplers.sgld import sgld
from molebm.topology import Topology

BALL: Final = 0.6  # Å, spread of a coordinate within a molecule over the cube root of its atoms


def annealed_langevin(
    energy_at: Callable[[float], EnergyFn],
    topology: Topology,
    positions: Tensor,
    sigmas: Iterable[float],
    *,
    kT: float,
    steps_per_level: int,
    generator: Generator,
    step: float = 0.2,
    adjusted: bool = False,
) -> Iterator[tuple[State, float]]:
    r"""Take Langevin steps at each level of noise in turn and yield state and level after each.

    Blurring by :math:`\sigma` leaves no curvature above :math:`kT/\sigma^2`, so that the step
    :math:`\epsilon\sigma^2/kT` is as safe at one level as at any other. A harmonic mode that the data have with
    variance :math:`s^2` has :math:`v = s^2 + \sigma^2` at a level, and the chain there
    :math:`v/(1 - \epsilon\sigma^2/2v)`; `adjusted` by a Metropolis test it has v exactly.

    Parameters
    ----------
    energy_at
        The energy, kcal/mol, of the data blurred by a width in Å.
    positions
        (3, N, C) Å, a cloud; see `cloud`.
    sigmas
        Å, falling.
    kT
        kcal/mol, at which the energies are meant.
    step
        :math:`\epsilon`, below 2.

    References
    ----------
    Song and Ermon, NeurIPS 2019, arXiv:1907.05600.
    """
    kernel: Callable[..., Sampler[State, Any]] = mala if adjusted else sgld
    for sigma in sigmas:
        sampler = kernel(energy_at(sigma), topology, step_size=step * sigma**2 / kT)
        state = sampler.init(positions)
        for _ in range(steps_per_level):
            state, _ = sampler.step(state, kT, generator)
        positions = state.positions
        yield state, sigma


def denoised(state: State, sigma: float, kT: float) -> Tensor:
    """Return the mean of what may have been blurred to where the chains are, (3, N, C) Å.

    References
    ----------
    Robbins, Proc. Third Berkeley Symp. 1, 157 (1956), after Tweedie.
    """
    return state.positions + sigma**2 / kT * state.forces


def geometric_levels(highest: float, lowest: float, n: int) -> list[float]:
    """Space n widths of noise by a constant factor, falling, in Å."""
    return [highest * (lowest / highest) ** (k / max(1, n - 1)) for k in range(n)]


def cloud(topology: Topology, sigma: float, n: int, generators: Iterable[Generator]) -> Tensor:
    """Draw atoms about one point, noise of `sigma` over a ball as large as the molecule; (3, N, n) Å.

    Parameters
    ----------
    generators
        One for each molecule, on the CPU.
    """
    sizes = topology.atoms_per_molecule().tolist()
    drawn = [
        (sigma**2 + BALL**2 * n_atoms ** (2 / 3)) ** 0.5 * torch.randn(3, n_atoms, n, generator=generator)
        for n_atoms, generator in zip(sizes, generators, strict=True)
    ]
    return torch.cat(drawn, dim=1).to(topology.device)
