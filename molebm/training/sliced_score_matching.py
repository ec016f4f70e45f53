"""Sliced score matching: the score of the data itself, without noise and without a full Hessian."""

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces


def sliced_score_matching(
    energy_fn: EnergyFn, positions: Tensor, kT: float | Tensor, *, generator: Generator, projections: int = 1
) -> Tensor:
    r"""Fit the score :math:`s = -\nabla E/kT`, its divergence estimated along random directions.

    .. math:: L = \langle v^T (\nabla s)\, v + \tfrac12 |s|^2 \rangle, \qquad \langle v v^T \rangle = 1

    The variance-reduced form: :math:`|s|^2` is exact and only the divergence is estimated (Hutchinson),
    with signs :math:`v = \pm 1`, for which only the couplings between coordinates add noise. The
    energy learned is that of the data, :math:`-kT \ln p` + const., with no bias from noise or projections. The
    data must be thermal samples: of minima alone, no energy is stiff enough and L has no minimum.

    Parameters
    ----------
    energy_fn
        Differentiable three times for training, as the mechanical energies are.
    positions
        (3, N, C) Å, samples at kT.
    projections
        Directions per conformer; each costs a Hessian-vector product.

    Returns
    -------
    Tensor
        Å⁻², the mean over atoms, components and conformers.

    References
    ----------
    Hyvärinen, J. Mach. Learn. Res. 6, 695 (2005); Song, Garg, Shi and Ermon, UAI 2019, arXiv:1905.07088;
    Hutchinson, Commun. Stat. Simul. Comput. 19, 433 (1990).
    """
    with torch.enable_grad():
        x = positions.detach().requires_grad_()
        score = energy_and_forces(lambda y: energy_fn(y) / kT, x, create_graph=True).forces  # (3, N, C) 1/Å
        divergence = score.new_zeros(())
        for _ in range(projections):
            v = _signs(x, generator)
            (along,) = torch.autograd.grad((v * score).sum(), x, create_graph=True)  # (∇s) v
            divergence = divergence + (v * along).mean() / projections
        return divergence + score.square().mean() / 2


def _signs(like: Tensor, generator: Generator) -> Tensor:
    return torch.empty_like(like).bernoulli_(0.5, generator=generator).mul_(2).sub_(1)
