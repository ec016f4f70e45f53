"""Thermodynamic integration: ratios of partition functions from averages along a path in equilibrium."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from molebm.samplers.annealed_importance import X, bootstrap_error


class Integral(NamedTuple):
    r"""An estimate of :math:`\ln Z_1/Z_0`, with the bounds that a linear path has."""

    value: Tensor  # (...)
    error: Tensor  # (...) standard error, by the bootstrap over chains
    lower: Tensor  # (...) the sum of slopes at the left ends
    upper: Tensor  # (...) the sum of slopes at the right ends


def slopes_along(
    slope: Callable[[X], Tensor],
    move: Callable[[X, float, Generator], X],
    state: X,
    schedule: Sequence[float],
    generator: Generator,
    *,
    n_equilibration: int,
    n_samples: int,
) -> Iterator[tuple[X, Tensor]]:
    r"""Sample :math:`d\ln f_\lambda/d\lambda` at each rung in turn and yield state and slopes (..., C, S).

    Each rung goes on from where the chains of the one before it stopped.

    Parameters
    ----------
    slope
        (..., C) of a state of C chains; on a linear path it is :math:`\ln f_1 - \ln f_0`.
    move
        A Markov kernel that leaves :math:`f_\lambda` invariant.
    n_equilibration, n_samples
        Moves at each rung before and while slopes are sampled.
    """
    for position in schedule:
        for _ in range(n_equilibration):
            state = move(state, position, generator)
        sampled = []
        for _ in range(n_samples):
            state = move(state, position, generator)
            sampled.append(slope(state))
        yield state, torch.stack(sampled, dim=-1)


def thermodynamic_integration(slopes: Tensor, schedule: Sequence[float], generator: Generator) -> Integral:
    r"""Integrate slopes (K, ..., C, S) of S samples on each of C independent chains at K rungs.

    .. math:: \ln\frac{Z_1}{Z_0} = \int_0^1 \Bigl\langle \frac{d\ln f_\lambda}{d\lambda}\Bigr\rangle_\lambda d\lambda

    Where :math:`\ln f_\lambda` is linear in :math:`\lambda`, the variance of the slope is the derivative of its
    mean. It corrects the trapezoidal rule to fourth order in the spacing, and since it is never negative the means
    rise, so that sums at the left and right ends of the intervals bound the integral.

    Raises
    ------
    ValueError
        If there is not one set of slopes for each rung, or there are less than two.

    References
    ----------
    Kirkwood, J. Chem. Phys. 3, 300 (1935); Friel, Hurn and Wyse, Stat. Comput. 24, 709 (2014), for the correction.
    """
    if len(schedule) != len(slopes) or len(schedule) < 2:
        raise ValueError(f"{len(slopes)} sets of slopes for {len(schedule)} rungs; give one for each of two or more")
    h = torch.tensor(schedule, dtype=slopes.dtype, device=slopes.device).diff()  # (K - 1,)
    centre = slopes.mean((-1, -2), keepdim=True)  # left out of the squares, which would round it away
    moments = torch.stack([slopes.mean(-1), (slopes - centre).square().mean(-1)])  # (2, K, ..., C)

    def integral(moments: Tensor) -> Tensor:
        mean, square = moments.mean(-1)  # (K, ...) each
        variance = square - (mean - centre[..., 0].reshape(_beside(centre.shape[:-2], mean))).square()
        step = h.reshape(_beside(h.shape, mean))
        return (step / 2 * (mean[:-1] + mean[1:]) - step.square() / 12 * variance.diff(dim=0)).sum(0)

    mean = slopes.mean((-1, -2))  # (K, ...)
    step = h.reshape(_beside(h.shape, mean))
    return Integral(
        value=integral(moments),
        error=bootstrap_error(integral, moments, generator),
        lower=(step * mean[:-1]).sum(0),
        upper=(step * mean[1:]).sum(0),
    )


def _beside(shape: torch.Size, like: Tensor) -> tuple[int, ...]:
    """Shape that broadcasts from the first axes of `like`."""
    return (*shape, *[1] * (like.dim() - len(shape)))
