"""Differences of free energy between two energies or temperatures, by several estimators with error bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from molebm.family.thermodynamic_path import Dynamics, End, Frame, anneal_between, sample_rungs
from molebm.samplers.annealed_importance import (
    Bracket,
    LogRatio,
    bennett,
    bootstrap_error,
    bracket,
    log_mean_exp,
    log_ratio,
)
from molebm.samplers.thermodynamic_integration import Integral, thermodynamic_integration
from molebm.topology import Topology


@dataclass(frozen=True, slots=True)
class PathSettings:
    """How a path is laid and sampled."""

    n_rungs: int = 9  # in equilibrium
    n_annealing: int = 40  # rungs of annealing, either way
    steps_per_rung: int = 5  # of annealing
    step_size: float = 2e-4  # Å²/(kcal/mol), of annealing
    dynamics: Dynamics = Dynamics()


class FreeEnergies(NamedTuple):
    r"""Estimates of :math:`\ln Z_1/Z_0` of G molecules; the difference of free energy is minus that, in kT."""

    leap: LogRatio  # (G,) from the first end alone, by exponential averaging
    annealed: Bracket  # (G,) by annealing forward and back
    annealed_forward: LogRatio  # (G,)
    integral: Integral  # (G,) by thermodynamic integration
    rung_by_rung: tuple[Tensor, Tensor]  # (G,) value and error, by Bennett's ratio between neighbouring rungs
    frames: list[Frame]  # the equilibrium samples
    schedule: list[float]  # of these
    n_chains: int  # whose energies are all finite; the others are left out


class Progress(NamedTuple):
    """How far it has come, and the result when it has come to the end."""

    fraction: float
    found: FreeEnergies | None = None


def free_energy_difference(
    first: End, last: End, topology: Topology, starts: Tensor, settings: PathSettings, generator: Generator
) -> Iterator[Progress]:
    r"""Estimate :math:`\ln Z_1/Z_0`, the configurational integrals over all positions, telling how far it has come.

    The path is linear in the reduced energy, :math:`(1 - \lambda)E_0/kT_0 + \lambda E_1/kT_1`. Every rung is
    sampled in equilibrium; from the samples at both ends chains are annealed to the other one.

    Parameters
    ----------
    starts
        (3, N, C) Å, sound conformers, one for each chain; errors are those of C independent chains.
    """
    s = settings
    schedule = torch.linspace(0, 1, s.n_rungs).tolist()
    n_frames, fine = s.dynamics.n_samples, torch.linspace(0, 1, s.n_annealing + 1).tolist()
    total = n_frames + 2 * s.n_annealing * 0.1
    frames: list[Frame] = []
    for frame in sample_rungs(first, last, topology, starts, schedule, generator, s.dynamics):
        frames.append(frame)
        yield Progress(len(frames) / total)
    weights = []
    for n, (rung, path) in enumerate(((0, fine), (-1, fine[::-1]))):
        begin = frames[-1].positions[:, :, rung].contiguous()
        annealing = anneal_between(
            first, last, topology, begin, path, generator, steps_per_rung=s.steps_per_rung, step_size=s.step_size
        )
        log_weights = torch.zeros(())
        for k, log_weights in enumerate(annealing, 1):  # noqa: B007, the last are kept
            yield Progress((n_frames + 0.1 * (n * s.n_annealing + k)) / total)
        weights.append(log_weights)
    yield Progress(1.0, _estimates(frames, schedule, weights, generator))


def _estimates(
    frames: list[Frame], schedule: Sequence[float], weights: list[Tensor], generator: Generator
) -> FreeEnergies:
    kept = _sound(frames, weights)
    frames = [Frame(*(part[..., kept] for part in frame)) for frame in frames]
    forward, back = (each[:, kept].double() for each in weights)
    u0 = torch.stack([frame.first for frame in frames], dim=-1).double()  # (K, G, C, S)
    u1 = torch.stack([frame.last for frame in frames], dim=-1).double()
    return FreeEnergies(
        leap=log_ratio(log_mean_exp((u0 - u1)[0]), generator),
        annealed=bracket(forward, back, generator),
        annealed_forward=log_ratio(forward, generator),
        integral=thermodynamic_integration(u0 - u1, schedule, generator),
        rung_by_rung=between_neighbours(u0 - u1, schedule, generator),
        frames=frames,
        schedule=list(schedule),
        n_chains=len(kept),
    )


def _sound(frames: list[Frame], weights: list[Tensor]) -> Tensor:
    """List the chains that stayed finite at every rung, of every molecule; (C,) int64."""
    sound = weights[0].isfinite().all(0) & weights[1].isfinite().all(0)
    for frame in frames:
        sound &= (frame.first + frame.last).isfinite().flatten(0, 1).all(0)
    return sound.nonzero().flatten()


def between_neighbours(slopes: Tensor, schedule: Sequence[float], generator: Generator) -> tuple[Tensor, Tensor]:
    r"""Sum Bennett's estimates between neighbouring rungs of slopes (K, G, C, S), to value and error (G,).

    On a linear path the work between two rungs is the slope, :math:`\ln f_1 - \ln f_0`, times their distance.

    References
    ----------
    Bennett, J. Comput. Phys. 22, 245 (1976).
    """
    rungs = torch.tensor(schedule, dtype=slopes.dtype, device=slopes.device).diff()

    def total(chains: Tensor) -> Tensor:
        """Of chains (K, G, S, ..., C), the last axis of which is drawn anew by the bootstrap."""
        work = chains.movedim(2, -2).flatten(-2)  # (K, G, ..., S C)
        width = rungs.view(-1, *[1] * (work.dim() - 1))
        return bennett(work[:-1] * width, -work[1:] * width).sum(0)

    chains = slopes.transpose(-1, -2)  # (K, G, S, C)
    return total(chains), bootstrap_error(total, chains, generator)
