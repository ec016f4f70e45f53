"""InfoNCE: the data conformer picked out among many noised copies of the same molecule."""

import torch
from torch import Generator, Tensor


def info_nce(energy: Tensor, energy_negatives: Tensor, kT: float | Tensor) -> Tensor:
    r"""Cross-entropy of telling which of K + 1 conformers of one molecule is the data.

    .. math:: L = -\left\langle \ln \frac{e^{-E(x_0)/kT}}{\sum_{k=0}^{K} e^{-E(x_k)/kT}} \right\rangle

    Least at :math:`E = -kT \ln p` + const. when nothing but p tells the candidates apart, as
    `noised_negatives` sees to; ln Z cancels. With K = 1 it is conditional NCE. An energy that knows
    nothing has :math:`L = \ln(K + 1)`.

    Parameters
    ----------
    energy
        (G, C) kcal/mol, of the data.
    energy_negatives
        (G, K·C) kcal/mol, in the columns of `noised_negatives`.

    References
    ----------
    van den Oord, Li and Vinyals, arXiv:1807.03748; Ma and Collins, EMNLP 3698 (2018), arXiv:1809.01812.
    """
    negatives = energy_negatives.unflatten(1, (-1, energy.shape[1])).movedim(1, 0)
    candidates = torch.cat([energy.unsqueeze(0), negatives]) / kT  # (K + 1, G, C)
    return (candidates[0] + torch.logsumexp(-candidates, dim=0)).mean()


def noised_negatives(positions: Tensor, width: float | Tensor, *, count: int, generator: Generator) -> Tensor:
    r"""Scatter negatives about a noised copy of each conformer, not about the conformer itself.

    .. math:: y = x_0 + \sigma\xi_0, \qquad x_k = y + \sigma\xi_k, \quad k = 1 \dots K

    Given y, all K + 1 candidates are equally likely to have come from it,
    :math:`\prod_k N(x_k; y, \sigma^2)` favouring none, so :math:`P(i\ \mathrm{is\ data}) = p(x_i)/\sum_k p(x_k)`
    is what `info_nce` fits. About :math:`x_0` itself the data would be given away for K > 1 by lying in
    the middle of the others, and the energy learned would be wrong. A negative differs from its
    conformer by noise of width :math:`\sqrt 2\,\sigma`.

    Parameters
    ----------
    positions
        (3, N, C) Å, samples at kT.
    width
        :math:`\sigma` in Å, one number or (C,); any that does not depend on the positions.

    Returns
    -------
    Tensor
        (3, N, K·C) Å; negative k of conformer c is column k·C + c.
    """
    centre = positions + width * torch.empty_like(positions).normal_(generator=generator)
    noise = positions.new_empty((*positions.shape[:2], count, positions.shape[2])).normal_(generator=generator)
    return (centre.unsqueeze(2) + width * noise).flatten(2)
