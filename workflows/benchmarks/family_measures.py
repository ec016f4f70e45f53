"""What the benchmarks of the family count."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.stats import mannwhitneyu

RESAMPLES = 200


def area(known: ArrayLike, foreign: ArrayLike, seed: int = 0) -> str:
    """Chance that a foreign molecule scores higher than a known one, with its standard error by the bootstrap."""
    known, foreign = np.asarray(known, dtype=float), np.asarray(foreign, dtype=float)
    rng = np.random.default_rng(seed)
    drawn = [_area(rng.choice(known, len(known)), rng.choice(foreign, len(foreign))) for _ in range(RESAMPLES)]
    return f"{_area(known, foreign):.3f} ± {np.std(drawn):.3f}"


def _area(known: np.ndarray, foreign: np.ndarray) -> float:
    return float(mannwhitneyu(foreign, known).statistic / (len(foreign) * len(known)))
