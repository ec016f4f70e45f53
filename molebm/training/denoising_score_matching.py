"""Denoising score matching: the force on a noised conformer must point back to where it came from."""

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces


def denoising_score_matching(
    energy_fn: EnergyFn, positions: Tensor, sigma: float, kT: float | Tensor, *, generator: Generator
) -> Tensor:
    r"""Fit the score :math:`s = -\nabla E/kT` of the data blurred by noise of one width.

    .. math:: L = \tfrac12 \langle |s(x + \sigma\xi) + \xi/\sigma|^2 \rangle

    What is learned is the blurred density, :math:`E = -kT \ln(p * N(0, \sigma^2))` + const., not p: a
    mode of stiffness :math:`\lambda` comes out as :math:`\lambda/(1 + \lambda\sigma^2/kT)`, so a stiff bond
    needs :math:`\sigma^2 \ll kT/\lambda`, where the variance of the gradient grows as :math:`\sigma^{-2}`.

    Parameters
    ----------
    energy_fn
        Differentiable twice, as the mechanical energies are.
    positions
        (3, N, C) Å, samples at kT.
    sigma
        Å, in every Cartesian coordinate.

    Returns
    -------
    Tensor
        Å⁻², the mean over atoms, components and conformers.

    References
    ----------
    Vincent, Neural Comput. 23, 1661 (2011).
    """
    noise = torch.empty_like(positions).normal_(generator=generator)
    score = _score(energy_fn, positions + sigma * noise, kT)
    return (score + noise / sigma).square().mean() / 2


def multilevel_denoising_score_matching(
    energy_fn: EnergyFn, positions: Tensor, sigmas: Tensor, kT: float | Tensor, *, generator: Generator
) -> Tensor:
    r"""Fit the scores at many widths of noise, each weighted by :math:`\sigma^2` so that all count alike.

    .. math:: L = \tfrac12 \langle \sigma^2 |s_\sigma(x + \sigma\xi) + \xi/\sigma|^2 \rangle
                = \tfrac12 \langle |\sigma s_\sigma(x + \sigma\xi) + \xi|^2 \rangle

    An energy that depends on :math:`\sigma` learns the blurred density of every level. One that does not
    learns a compromise: of a mode with stiffness :math:`\lambda`,
    :math:`\langle\sigma^2\rangle / \langle\sigma^2 (1/\lambda + \sigma^2/kT)\rangle`.

    Parameters
    ----------
    energy_fn
        Differentiable twice, as the mechanical energies are. If it depends on the
        level, `sigmas` is closed over.
    positions
        (3, N, C) Å, samples at kT.
    sigmas
        (C,) Å, the width for each conformer.

    Returns
    -------
    Tensor
        No unit; the mean over atoms, components and conformers. An energy that knows nothing has 1/2.

    References
    ----------
    Song and Ermon, NeurIPS 2019, arXiv:1907.05600.
    """
    noise = torch.empty_like(positions).normal_(generator=generator)
    score = _score(energy_fn, positions + sigmas * noise, kT)
    return (sigmas * score + noise).square().mean() / 2


def _score(energy_fn: EnergyFn, positions: Tensor, kT: float | Tensor) -> Tensor:
    return energy_and_forces(lambda x: energy_fn(x) / kT, positions, create_graph=True).forces  # (3, N, C) 1/Å
