"""How unusual a number is among those of trusted structures, smoothly and beyond the largest of them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

TAIL: Final = 0.1  # of the trusted numbers, those that the power law of the tail is read off
FLATTEST, STEEPEST = 1.0, 20.0  # exponents of that law
UNKNOWN: Final = 1.0  # where the tail starts if all trusted numbers are 0


class Surprise:
    """Minus the natural logarithm of the share of trusted numbers that are as large; 0 for the least.

    Within the trusted numbers it is their share, between them interpolated; beyond nine tenths it follows a power law
    whose exponent is Hill's estimate.

    References
    ----------
    Hill, Ann. Stat. 3, 1163 (1975).
    """

    def __init__(self, trusted: ArrayLike) -> None:
        self.trusted: Numbers = np.sort(np.asarray(trusted, dtype=float))
        n = len(self.trusted)
        n_nothing = int(np.searchsorted(self.trusted, 0.0, side="right"))
        first = min(n - 1, max(int(np.ceil((1 - TAIL) * n)), n_nothing))
        self._start = float(self.trusted[first]) if self.trusted[first] > 0 else UNKNOWN
        beyond = np.maximum(self.trusted[first:], self._start)
        mean_log = float(np.log(beyond / self._start).mean())
        self._exponent = float(np.clip(1 / max(mean_log, 1e-9), FLATTEST, STEEPEST))
        values, last = np.unique(np.minimum(self.trusted, self._start), return_index=True)
        self._values, self._shares = values, -np.log((n - last) / n)
        self._at_start = self._shares[-1]

    def __call__(self, numbers: ArrayLike) -> Numbers:
        """Return the surprise of each number, in nats."""
        x = np.asarray(numbers, dtype=float)
        within = np.interp(x, self._values, self._shares)
        beyond = self._at_start + self._exponent * np.log(np.maximum(x, self._start) / self._start)
        return np.where(x > self._start, beyond, within)


def conformal_p_value(numbers: ArrayLike, trusted: ArrayLike) -> Numbers:
    """Chance that a structure like the trusted ones has at least this number.

    Flagging ``p <= alpha`` raises a false alarm on at most a fraction alpha of such structures, whatever the
    distribution of the number. With n trusted numbers the smallest is 1 / (n + 1).

    References
    ----------
    Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005).
    """
    ordered = np.sort(np.asarray(trusted, dtype=float))
    n_at_least = len(ordered) - np.searchsorted(ordered, np.asarray(numbers, dtype=float))
    return (1 + n_at_least) / (1 + len(ordered))
