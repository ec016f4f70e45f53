"""How unusual a number is among those of trusted structures, smoothly and beyond the largest of them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

Numbers = NDArray[np.float64]

TAIL: Final = 0.1  # of the trusted numbers, those that the power law of the tail is read off
FLATTEST, STEEPEST = 1.0, 20.0  # exponents of that law
USUAL: Final = 3.0  # exponent that is expected before numbers are seen
PRIOR: Final = 10.0  # numbers that this counts for
BEYOND: Final = 1.25  # times the trusted numbers, where all are the same, what would be as rare as a single other one
UNKNOWN: Final = 1.0  # the same if all trusted numbers are 0


class Surprise:
    """Minus the natural logarithm of the share of trusted numbers that are as large; 0 for the least.

    Within the trusted numbers it is their share, between them interpolated; beyond nine tenths, and beyond the least
    number if more than that are equal to it, it follows a power law whose exponent is Hill's estimate, drawn to the
    usual one where the tail is of few numbers.

    References
    ----------
    Hill, Ann. Stat. 3, 1163 (1975).
    """

    def __init__(self, trusted: ArrayLike) -> None:
        self.trusted: Numbers = np.sort(np.asarray(trusted, dtype=float))
        numbers = self.trusted
        if numbers[0] == numbers[-1]:
            numbers = np.append(numbers, BEYOND * numbers[0] or UNKNOWN)
        n = len(numbers)
        n_least = int(np.searchsorted(numbers, max(numbers[0], 0.0), side="right"))
        first = min(n - 1, max(int(np.ceil((1 - TAIL) * n)), n_least))
        self._start = float(numbers[first])
        steps = np.log(numbers[first:] / self._start)
        exponent = (len(steps) + PRIOR) / (steps.sum() + PRIOR / USUAL)
        self._exponent = float(np.clip(exponent, FLATTEST, STEEPEST))
        values, last = np.unique(np.minimum(numbers, self._start), return_index=True)
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
