"""Annealed importance sampling: ratios of partition functions from chains that need not equilibrate."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Generator, Tensor

X = TypeVar("X")

RESAMPLES = 200  # of the bootstrap
BISECTIONS = 100  # of the equation of Bennett, which halve its bracket each


class LogRatio(NamedTuple):
    r"""An estimate of :math:`\ln Z_1/Z_0` from independent chains."""

    value: Tensor  # (...) ln of the mean weight
    error: Tensor  # (...) its standard error, by the bootstrap
    bound: Tensor  # (...) mean of ln w, whose expectation is below ln Z1/Z0 whatever the schedule
    effective_size: Tensor  # (...) between 1 and the number of chains


class Bracket(NamedTuple):
    r"""What chains in both directions say of :math:`\ln Z_1/Z_0`."""

    lower: Tensor  # (...) in expectation below, from the chains forward
    upper: Tensor  # (...) in expectation above, from the chains back
    value: Tensor  # (...) by Bennett's acceptance ratio, from both
    error: Tensor  # (...) standard error of `value`, by the bootstrap
    hysteresis: Tensor  # (...) work forward and back that is lost on the way, 0 if it is infinitely slow


def annealed_importance(
    log_density: Callable[[X, float], Tensor],
    move: Callable[[X, float, Generator], X],
    state: X,
    schedule: Sequence[float],
    generator: Generator,
) -> Iterator[tuple[X, Tensor]]:
    r"""Carry chains from one distribution to another and yield state and ln of the weights after each rung.

    .. math:: \ln w = \sum_k \ln f_{\lambda_{k+1}}(x_k) - \ln f_{\lambda_k}(x_k), \quad
              x_{k+1} \sim T_{\lambda_{k+1}}(x_k)

    The mean of the last weights is :math:`Z_{\lambda_K}/Z_{\lambda_0}` without bias, however short the schedule,
    if the chains begin in equilibrium and each move leaves its distribution as it is.

    Parameters
    ----------
    log_density
        ln of the unnormalised density :math:`f_\lambda`, (..., C), of a state at :math:`\lambda`.
    move
        A Markov kernel that leaves :math:`f_\lambda` invariant.
    state
        C chains, drawn from the first distribution of the schedule.
    schedule
        :math:`\lambda` from first to last, as 0 to 1; the reverse makes the ratio the other way.

    References
    ----------
    Neal, Stat. Comput. 11, 125 (2001); Jarzynski, Phys. Rev. E 56, 5018 (1997).
    """
    log_weights: Tensor | float = 0.0
    for before, after in zip(schedule, schedule[1:], strict=False):
        log_weights = log_weights + log_density(state, after) - log_density(state, before)
        state = move(state, after, generator)
        yield state, log_weights


def log_ratio(log_weights: Tensor, generator: Generator) -> LogRatio:
    """Average weights (..., C) of independent chains."""
    return LogRatio(
        value=log_mean_exp(log_weights),
        error=bootstrap_error(log_mean_exp, log_weights, generator),
        bound=log_weights.mean(-1),
        effective_size=effective_size(log_weights),
    )


def bracket(forward: Tensor, back: Tensor, generator: Generator) -> Bracket:
    r"""Hold chains forward (..., C) against chains back (..., C'), both as ln of their weights.

    By Jensen's inequality the logarithm of a mean weight is in expectation too low, forward for
    :math:`\ln Z_1/Z_0` and back for :math:`\ln Z_0/Z_1`, and comes down on the truth as the chains multiply.

    References
    ----------
    Grosse, Ghahramani and Adams, arXiv:1511.02543 (2015); Bennett, J. Comput. Phys. 22, 245 (1976).
    """
    errors = _two_sided_error(forward, back, generator)
    return Bracket(
        lower=log_mean_exp(forward),
        upper=-log_mean_exp(back),
        value=bennett(forward, back),
        error=errors,
        hysteresis=-forward.mean(-1) - back.mean(-1),
    )


def bennett(forward: Tensor, back: Tensor) -> Tensor:
    r"""Solve Bennett's equation for :math:`\ln Z_1/Z_0`, of least variance for given work in both directions.

    .. math:: \sum_i \frac{1}{1 + e^{M - w_i + \Delta}} = \sum_j \frac{1}{1 + e^{-M - w'_j - \Delta}},
              \quad M = \ln n/n'

    with ln weights :math:`w` forward and :math:`w'` back.
    """
    m = math.log(forward.shape[-1] / back.shape[-1])
    both = torch.cat([forward, -back], dim=-1)
    low, high = both.amin(-1) - abs(m) - 1, both.amax(-1) + abs(m) + 1
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        there = torch.sigmoid(forward - m - middle[..., None]).sum(-1)
        return_ = torch.sigmoid(back + m + middle[..., None]).sum(-1)
        too_low = there > return_
        low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
    return (low + high) / 2


def log_mean_exp(log_weights: Tensor) -> Tensor:
    """Logarithm of the mean over the last axis of what is given by its logarithm."""
    return log_weights.logsumexp(-1) - math.log(log_weights.shape[-1])


def effective_size(log_weights: Tensor) -> Tensor:
    """Count the samples (..., C) that would carry as much if all weighed alike, as Kish does; (...)."""
    return (2 * log_weights.logsumexp(-1) - (2 * log_weights).logsumexp(-1)).exp()


def bootstrap_error(statistic: Callable[[Tensor], Tensor], samples: Tensor, generator: Generator) -> Tensor:
    """Standard error of a statistic over the last axis of independent samples (..., C), by drawing them anew."""
    return statistic(_resampled(samples, generator)).std(-1)


def _two_sided_error(forward: Tensor, back: Tensor, generator: Generator) -> Tensor:
    return bennett(_resampled(forward, generator), _resampled(back, generator)).std(-1)


def _resampled(samples: Tensor, generator: Generator) -> Tensor:
    """Draw the columns (..., C) with repetition, (..., RESAMPLES, C)."""
    n = samples.shape[-1]
    return samples[..., torch.randint(n, (RESAMPLES, n), generator=generator, device=generator.device)]
