"""How well scores tell defects from good structures, with intervals over the molecules that they are made from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata, spearmanr

from molebm.plausibility.discoveries import discoveries

Array = NDArray[np.float64]

N_RESAMPLES: Final = 500  # of the parents, in a bootstrap
N_DRAWS: Final = 200  # of contaminated sets


class Interval(NamedTuple):
    value: float
    low: float  # 95 %
    high: float


def auroc(clean: Array, defects: Array, parents: NDArray[np.int64], generator: np.random.Generator) -> Interval:
    """Chance that a defect scores higher than a good structure, ties as half; parents are resampled.

    Parameters
    ----------
    clean
        (P,) scores of the parents.
    defects
        (D,) scores of what was made from them.
    parents
        (D,) place of each defect's parent.
    """
    if not len(clean) or not len(defects):
        return Interval(np.nan, np.nan, np.nan)
    order = np.argsort(clean)
    below = np.searchsorted(clean[order], defects, side="left")
    not_above = np.searchsorted(clean[order], defects, side="right")
    value = float((below + not_above).mean() / (2 * len(clean)))
    found = []
    for _ in range(N_RESAMPLES):
        weights = np.bincount(generator.integers(len(clean), size=len(clean)), minlength=len(clean))
        cumulated = np.concatenate([[0], np.cumsum(weights[order])])
        of_defects = weights[parents]
        if of_defects.any():
            pairs = of_defects @ (cumulated[below] + cumulated[not_above])
            found.append(pairs / (2 * len(clean) * of_defects.sum()))
    low, high = np.quantile(found, [0.025, 0.975])
    return Interval(value, float(low), float(high))


def false_discovery(
    clean: Array, defects: Array, *, contamination: float, rate: float, generator: np.random.Generator
) -> tuple[float, float]:
    """Mean share of good structures among those flagged, and of defects that are flagged.

    In each draw half of the good structures are tested, with as many defects as make the contamination. All are
    given by their p-values.
    """
    n_test = len(clean) // 2
    n_wrong = min(len(defects), max(1, round(n_test * contamination / (1 - contamination))))
    shares, found = [], []
    for _ in range(N_DRAWS):
        order = generator.permutation(len(clean))
        wrong = generator.choice(defects, size=n_wrong, replace=False)
        tested = np.concatenate([clean[order[:n_test]], wrong])
        flagged = discoveries(tested, rate)
        shares.append(flagged[:n_test].sum() / max(flagged.sum(), 1))
        found.append(flagged[n_test:].mean())
    return float(np.mean(shares)), float(np.mean(found))


def share(hits: Sequence[bool] | NDArray[np.bool_]) -> Interval:
    """Share of hits, with the interval of Wilson (1927)."""
    n = len(hits)
    if not n:
        return Interval(np.nan, np.nan, np.nan)
    p, z = float(np.mean(hits)), 1.96
    centre, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    return Interval(p, max(0.0, float((centre - half) / (1 + z**2 / n))), float((centre + half) / (1 + z**2 / n)))


def rank_correlation(levels: ArrayLike, scores: ArrayLike) -> float:
    """Spearman's coefficient, 0 where all scores are equal."""
    if np.ptp(rankdata(scores)) == 0:
        return 0.0
    return float(spearmanr(rankdata(levels), rankdata(scores)).statistic)
