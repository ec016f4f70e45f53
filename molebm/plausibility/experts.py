"""How much to make of each statistic, learned by telling trusted structures from perturbed ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import softplus

from molebm.plausibility.calibration import Expert, Source

Numbers = NDArray[np.float64]

UPDATES: Final = 800
LEARNING_RATE: Final = 0.05
FIRST_WEIGHT: Final = 0.5
LARGEST_WEIGHT: Final = 4.0
PRIOR: Final = 0.002  # of the squares of what is learned, against chance


def learn_experts(trusted: Source, perturbed: Sequence[Mapping[str, Numbers]]) -> dict[str, Expert]:
    """Weigh statistics so that perturbed structures score above trusted ones.

    The loss is that of ranking pairs, one trusted and one perturbed, softplus(score of the trusted - score of the
    perturbed); it falls to zero as the chance that a perturbed structure scores higher rises to one. Families of
    perturbations, each with its statistics, count alike. Weights are positive: what is more unusual never scores less.

    References
    ----------
    Gutmann and Hyvärinen, J. Mach. Learn. Res. 13, 307 (2012); Burges et al., ICML (2005), for the loss.
    """
    names = list(trusted.statistics)

    def surprises(statistics: Mapping[str, Numbers]) -> Tensor:
        return torch.from_numpy(np.stack([trusted.surprises[name](statistics[name]) for name in names], axis=1))

    good = surprises(trusted.statistics)
    families = [surprises(statistics) for statistics in perturbed]
    offset = torch.zeros(len(names), dtype=torch.float64, requires_grad=True)
    free = torch.full((len(names),), _inverse(FIRST_WEIGHT), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([offset, free], LEARNING_RATE)
    for _ in range(UPDATES):
        weight = LARGEST_WEIGHT * free.sigmoid()
        low = torch.logsumexp(offset + weight * good, dim=1)
        losses = [
            softplus(low[None, :] - torch.logsumexp(offset + weight * family, dim=1)[:, None]).mean()
            for family in families
        ]
        loss = torch.stack(losses).mean() + PRIOR * (offset.square() + free.square()).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    weights = (LARGEST_WEIGHT * free.sigmoid()).tolist()
    middle = float(offset.detach().mean())
    return {
        name: Expert(round(a - middle, 3), round(w, 3))
        for name, a, w in zip(names, offset.tolist(), weights, strict=True)
    }


def _inverse(weight: float) -> float:
    share = weight / LARGEST_WEIGHT
    return float(np.log(share / (1 - share)))
