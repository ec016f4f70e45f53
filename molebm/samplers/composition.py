"""Samplers made of samplers: what leaves a distribution invariant does so in turn, again and again, or by chance."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from molebm.errors import RequestError
from molebm.samplers.sampler import I, S, Sampler


class MixtureInfo(NamedTuple):
    """Which sampler moved, and what it says."""

    chosen: int
    inner: Any


def cycle(first: Sampler[S, Any], *others: Sampler[S, Any]) -> Sampler[S, tuple[Any, ...]]:
    """Make one step of each sampler in turn count as one step; info is the tuple of theirs.

    The first makes the state: dynamics with velocities, as `baoab`, comes first. The moves (`torsion_rotation`,
    `ring_inversion`, `ring_flap`) take the state of any sampler. The cycle is exact if its parts are, though not
    reversible.

    References
    ----------
    Tierney, Ann. Stat. 22, 1701 (1994).
    """

    def step(state: S, kT: float | Tensor, generator: Generator) -> tuple[S, tuple[Any, ...]]:
        infos = []
        for sampler in (first, *others):
            state, info = sampler.step(state, kT, generator)
            infos.append(info)
        return state, tuple(infos)

    return Sampler(first.init, step)


def repeated(sampler: Sampler[S, I], n_steps: int) -> Sampler[S, I]:
    """Make `n_steps` steps of a sampler count as one; info is that of the last.

    Raises
    ------
    RequestError
        If `n_steps` is less than 1.
    """
    if n_steps < 1:
        raise RequestError(f"a sampler is repeated 1 or more times, not {n_steps}")

    def step(state: S, kT: float | Tensor, generator: Generator) -> tuple[S, I]:
        for _ in range(n_steps):
            state, info = sampler.step(state, kT, generator)
        return state, info

    return Sampler(sampler.init, step)


def mixture(samplers: Sequence[Sampler[S, Any]], weights: Sequence[float]) -> Sampler[S, MixtureInfo]:
    """Let one sampler, drawn afresh for each step, move all conformers; the first makes the state.

    Exact if its parts are, and reversible if they are.

    Parameters
    ----------
    weights
        Chances of the samplers, up to a common factor; they must not depend on the state.

    Raises
    ------
    RequestError
        If there is not one weight of 0 or more for each sampler, or none is above 0.

    References
    ----------
    Tierney, Ann. Stat. 22, 1701 (1994).
    """
    chances = torch.tensor(weights, dtype=torch.float64)
    if len(weights) != len(samplers) or not bool((chances >= 0).all() & (chances.sum() > 0)):
        raise RequestError(
            f"{len(samplers)} samplers cannot be mixed by the weights {list(weights)}: give each its own"
        )

    def step(state: S, kT: float | Tensor, generator: Generator) -> tuple[S, MixtureInfo]:
        on_device = chances.to(device=generator.device, dtype=torch.float32)
        chosen = int(torch.multinomial(on_device, 1, generator=generator))
        state, info = samplers[chosen].step(state, kT, generator)
        return state, MixtureInfo(chosen, info)

    return Sampler(samplers[0].init, step)
