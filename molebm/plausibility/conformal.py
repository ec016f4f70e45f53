"""From a score to a decision with a guarantee."""

import torch
from torch import Tensor


def conformal_p_value(score: Tensor, calibration: Tensor) -> Tensor:
    """Chance that a plausible conformer scores at least this high.

    Flagging ``p <= alpha`` raises a false alarm on at most a fraction alpha of plausible
    inputs, whatever the score's distribution, so long as the calibration scores come from
    the same kind of molecule. Higher score means less plausible.

    References
    ----------
    Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005).
    """
    ordered = calibration.sort().values
    n_at_least = len(ordered) - torch.searchsorted(ordered, score)
    return (1 + n_at_least).double() / (1 + len(ordered))
