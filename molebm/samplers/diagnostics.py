"""Whether chains have forgotten where they began, and how much their draws are worth."""

from __future__ import annotations

import torch
from torch import Tensor

from molebm.errors import RequestError

_FEWEST_DRAWS = 4  # two halves of two


def split_r_hat(draws: Tensor) -> Tensor:
    r"""Compare the spread between half chains with that within them, giving (...): about 1 if they agree.

    Both the values and their distances from the median are tried, each as normal scores of its ranks, and the larger
    :math:`\hat R` is returned: chains that differ in place or in width are found, whatever the distribution. Mixed
    chains have less than 1.01. It says nothing of what no chain has visited.

    Parameters
    ----------
    draws
        (S, ..., C): S draws of some number, as the energy or the cosine of a torsion, from each of C chains.

    Returns
    -------
    Tensor
        Float64; nan where a draw is not finite or all are equal.

    Raises
    ------
    RequestError
        If there are fewer than 4 draws.

    References
    ----------
    Vehtari, Gelman, Simpson, Carpenter and Bürkner, Bayesian Anal. 16, 667 (2021).
    """
    halves = _half_chains(draws)  # (..., 2C, S // 2)
    pooled = halves.flatten(-2)
    folded = (halves - _median(pooled)[..., None, None]).abs()
    return torch.maximum(_r_hat(_normal_scores(halves)), _r_hat(_normal_scores(folded)))


def effective_sample_size(draws: Tensor) -> Tensor:
    r"""Count the independent draws that would fix the middle of the distribution as well, (...).

    The autocorrelations of the half chains' normal scores are summed in pairs for as long as the pairs are positive,
    smoothed so that they fall. Chains that disagree count for little. About 100 per chain are wanted.

    Parameters
    ----------
    draws
        (S, ..., C), as in `split_r_hat`.

    Returns
    -------
    Tensor
        Float64; nan where a draw is not finite or all are equal.

    Raises
    ------
    RequestError
        If there are fewer than 4 draws.

    References
    ----------
    Vehtari et al., Bayesian Anal. 16, 667 (2021); Geyer, Stat. Sci. 7, 473 (1992).
    """
    scores = _normal_scores(_half_chains(draws))  # (..., M, n)
    n_chains, n = scores.shape[-2:]
    covariance = _autocovariance(scores)  # (..., M, n)
    within = covariance[..., 0].mean(-1) * n / (n - 1)
    pooled_variance = within * (n - 1) / n + scores.mean(-1).var(-1)
    correlation = 1 - (within[..., None] - covariance.mean(-2) * n / (n - 1)) / pooled_variance[..., None]
    correlation[..., 0] = 1
    pairs = correlation[..., : n - n % 2].unflatten(-1, (-1, 2)).sum(-1)  # Geyer's Γ, (..., n // 2)
    positive = (pairs > 0).cummin(-1).values
    falling = pairs.cummin(-1).values
    time = -1 + 2 * (falling * positive).sum(-1)
    total = n_chains * n
    shortest = 1 / torch.tensor(float(total)).log10().to(time)  # chains that alternate are not worth ever more
    size = total / time.maximum(shortest)
    return size.where(pooled_variance > 0, torch.nan)


def swap_overlap(energies: Tensor, *, n_temperatures: int) -> Tensor:
    r"""Predict how often neighbouring temperatures would swap if each had reached equilibrium, (G, T - 1).

    Averaged over independent draws of both equilibria, :math:`\min(1, e^{(\beta_i-\beta_j)(E_i-E_j)})` is twice
    the chance that the colder one has the higher energy, whatever the energy function. That chance is counted
    over all pairs of draws. A swap rate that lies elsewhere shows that the ladder is not in equilibrium yet.

    Parameters
    ----------
    energies
        (S, G, C), `state.energy` of `parallel_tempering` after S steps.

    Returns
    -------
    Tensor
        Float64, from 0 (no overlap) to 1 (equal distributions); nan where an energy is not finite.

    References
    ----------
    Kofke, J. Chem. Phys. 117, 6911 (2002), and its erratum, 120, 10852 (2004).
    """
    n_steps, n_molecules, _ = energies.shape
    draws = energies.double().view(n_steps, n_molecules, n_temperatures, -1).permute(1, 2, 0, 3).flatten(2)
    cold, hot = draws[:, :-1].contiguous(), draws[:, 1:].sort(dim=-1).values  # (G, T - 1, D)
    below = torch.searchsorted(hot, cold) + torch.searchsorted(hot, cold, right=True)  # ties count half
    overlap = below.double().mean(-1) / draws.shape[-1]
    return overlap.where(cold.isfinite().all(-1) & hot.isfinite().all(-1), torch.nan)


def _half_chains(draws: Tensor) -> Tensor:
    """Cut each chain in two, (..., 2C, S // 2); of an odd number of draws the middle one is dropped."""
    n = len(draws) // 2
    if len(draws) < _FEWEST_DRAWS:
        raise RequestError(
            f"{len(draws)} draws say nothing of a chain: give {_FEWEST_DRAWS} or more, along the first axis"
        )
    return torch.cat([draws[:n], draws[-n:]], dim=-1).double().movedim(0, -1)


def _median(pooled: Tensor) -> Tensor:
    ordered, n = pooled.sort(dim=-1).values, pooled.shape[-1]
    return (ordered[..., (n - 1) // 2] + ordered[..., n // 2]) / 2


def _normal_scores(halves: Tensor) -> Tensor:
    """Replace values by the normal quantiles of their ranks among all chains; equal values share a rank."""
    pooled = halves.flatten(-2)
    ordered = pooled.sort(dim=-1).values
    rank = (torch.searchsorted(ordered, pooled) + torch.searchsorted(ordered, pooled, right=True) + 1) / 2
    scores = torch.special.ndtri((rank.double() - 3 / 8) / (pooled.shape[-1] + 1 / 4))  # Blom
    return scores.where(pooled.isfinite().all(-1, keepdim=True), torch.nan).view_as(halves)


def _r_hat(chains: Tensor) -> Tensor:
    within, n = chains.var(-1).mean(-1), chains.shape[-1]
    between = chains.mean(-1).var(-1)
    return ((n - 1) / n + between / within).sqrt()


def _autocovariance(chains: Tensor) -> Tensor:
    """Estimate the covariance at every lag, divided by n at all of them, as Geyer advises, (..., n)."""
    n = chains.shape[-1]
    spectrum = torch.fft.rfft(chains - chains.mean(-1, keepdim=True), 2 * n)
    return torch.fft.irfft(spectrum.abs().square(), 2 * n)[..., :n] / n
