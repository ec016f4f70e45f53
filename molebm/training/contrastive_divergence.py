"""Contrastive divergence: energy down on the data, up on the model's own samples."""

from torch import Tensor


def contrastive_divergence(energy_data: Tensor, energy_model: Tensor, kT: float | Tensor) -> Tensor:
    r"""Return the surrogate whose gradient is that of the negative log-likelihood.

    .. math:: \nabla_\theta(-\ln p) = \langle\nabla_\theta E/kT\rangle_{data} - \langle\nabla_\theta E/kT\rangle_{model}

    The samples are constants: nothing is propagated through the chains that made them. With chains
    restarted from data this is CD-k, with chains that go on it is persistent CD.

    Parameters
    ----------
    energy_data, energy_model
        (G, C) kcal/mol, column by column at the same temperature.

    References
    ----------
    Hinton, Neural Comput. 14, 1771 (2002); Tieleman, ICML 2008.
    """
    return ((energy_data - energy_model) / kT).mean()
