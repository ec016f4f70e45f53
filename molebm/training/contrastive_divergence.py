"""Contrastive divergence: energy down on the data, up on the model's own samples."""

import torch
from torch import Tensor


def contrastive_divergence(
    energy_data: Tensor, energy_model: Tensor, kT: float | Tensor, *, floor: float | Tensor = torch.inf
) -> Tensor:
    r"""Return the surrogate whose gradient is that of the negative log-likelihood.

    .. math:: \nabla_\theta(-\ln p) = \langle\nabla_\theta E/kT\rangle_{data} - \langle\nabla_\theta E/kT\rangle_{model}

    The samples are constants: nothing is propagated through the chains that made them. With chains
    restarted from data this is CD-k, with chains that go on it is persistent CD.

    Parameters
    ----------
    energy_data, energy_model
        (G, C) kcal/mol, column by column at the same temperature.
    floor
        A chain whose :math:`E/kT` lies this far above its data, or the data above the chain, has
        nothing left to teach and does not count; broadcasts to (G, C). Thermal differences are of the order of
        :math:`\sqrt{3N}`; a floor that cuts into them biases the energy learned.

    References
    ----------
    Hinton, Neural Comput. 14, 1771 (2002); Tieleman, ICML 2008.
    """
    difference = (energy_data - energy_model) / kT
    return torch.where(difference.detach().abs() < floor, difference, 0.0).mean()


def energy_magnitude(energy_data: Tensor, energy_model: Tensor, kT: float | Tensor, n_atoms: Tensor) -> Tensor:
    r"""Penalise energies that run away from each other, as a fraction of what is thermal.

    .. math:: R = \langle (E_{data} - \bar E)^2 + (E_{model} - \bar E)^2 \rangle / (3N\,(kT)^2)

    with :math:`\bar E` the mean over the data of the molecule at its temperature; an energy has no zero of its own.

    Parameters
    ----------
    energy_data, energy_model
        (G, C) kcal/mol.
    n_atoms
        (G, 1)

    References
    ----------
    Du and Mordatch, NeurIPS 2019, arXiv:1903.08689, section 3.2.
    """
    mean = energy_data.detach().mean(1, keepdim=True)
    spread = ((energy_data - mean) / kT).square() + ((energy_model - mean) / kT).square()
    return (spread / (3 * n_atoms)).mean()
