"""One source of trusted structures, and how others compare with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from molebm.plausibility.surprise import Surprise, conformal_p_value

Numbers = NDArray[np.float64]

SIZES: Final = (16, 22, 28, 36)  # heavy atoms, between which sizes are told apart
SIZE_TAIL: Final = 0.8  # quantile of the scores that is the same for all sizes
FEWEST_OF_SIZE: Final = 30  # trusted structures of a size whose quantile is believed
CHANNELS: Final[dict[str, tuple[str, ...]]] = {
    "geometry": ("bonds", "angles", "planes", "spread"),
    "torsions": ("rings", "rotors"),
    "contacts": ("contacts",),
    "strain": ("strain",),
    "hydrogens": ("hydrogen lengths", "hydrogen places"),
}
"""The channels that numbers measure, and the statistics in each."""

UNREMARKABLE: Final = 1.0  # scales, or kcal/mol of strain: as much surprises nobody, whatever the source


class Expert(NamedTuple):
    """What one part of the score looks at: the surprises it adds up, since one fault shows in all of them."""

    statistics: tuple[str, ...]
    weight: float  # in the harmonic mean


EXPERTS: Final = (
    Expert(("bonds",), 3.0),
    Expert(("angles",), 2.5),
    Expert(("planes",), 2.0),
    Expert(("rotors", "contacts", "strain"), 0.8),
    Expert(("spread",), 0.6),
    Expert(("rings",), 0.3),
    Expert(("hydrogen lengths",), 0.3),
    Expert(("hydrogen places",), 0.2),  # guessed as often as seen
)

LARGEST_EXPONENT: Final = 700.0
FAULT: Final = 60.0  # nats, of one declared thing that is not so


@dataclass(frozen=True)
class Source:
    """Trusted structures of one kind of source."""

    provenance: str
    statistics: Mapping[str, Numbers]  # (n,) each, structures in one order
    heavy_atoms: Numbers  # (n,)

    @property
    def n(self) -> int:
        return len(self.heavy_atoms)

    @cached_property
    def surprises(self) -> dict[str, Surprise]:
        return {name: Surprise(_remarkable(values)) for name, values in self.statistics.items()}


class Verdict(NamedTuple):
    """What is made of the statistics of structures, each (n,)."""

    score: Numbers  # minus the common logarithm of the smooth share of trusted structures that score as high
    p_value: Numbers
    channels: dict[str, tuple[Numbers, Numbers]]  # score and p-value, of those that were measured


class Yardstick:
    """One source of trusted structures, and how their statistics are put together.

    The score is minus the logarithm of the weighted harmonic mean of the p-values of `EXPERTS`, so that whatever is
    most unusual decides. Larger molecules have more that can be unusual: the scores of each size are moved so that
    they are high equally often.

    References
    ----------
    Wilson, Proc. Natl. Acad. Sci. USA 116, 1195 (2019).
    """

    def __init__(self, source: Source, measured: frozenset[str]) -> None:
        self.source = source
        self._measured = [name for name in source.statistics if name in measured]
        self._channels = {
            channel: kept for channel, names in CHANNELS.items() if (kept := [n for n in names if n in self._measured])
        }
        surprises = self._surprises(source.statistics)
        self._experts = [
            (kept, expert.weight) for expert in EXPERTS if (kept := [s for s in expert.statistics if s in surprises])
        ]
        self._opinions = [Surprise(np.exp(_sum(surprises, names))) for names, _ in self._experts]
        whole = self._mixture(surprises)
        self._shift = _shift_by_size(whole, source.heavy_atoms)
        self._whole = whole - self._shift(source.heavy_atoms)
        self._whole_surprise = Surprise(np.exp(self._whole))
        self._of_channel = {c: _together([surprises[name] for name in names]) for c, names in self._channels.items()}
        self._channel_surprise = {c: Surprise(np.exp(values)) for c, values in self._of_channel.items()}
        self._usual = {name: float(np.quantile(values, 0.95)) for name, values in source.statistics.items()}

    def usual(self, statistic: str) -> float:
        """What one trusted structure in twenty exceeds."""
        return max(self._usual[statistic], UNREMARKABLE)

    def judge(self, statistics: Mapping[str, Numbers], heavy_atoms: Numbers, faults: Numbers) -> Verdict:
        """Score structures by their statistics (n,), their heavy atoms (n,) and how many faults they have (n,)."""
        surprises = self._surprises(statistics)
        whole = self._mixture(surprises) - self._shift(heavy_atoms)
        whole = np.logaddexp(whole, np.where(faults > 0, FAULT * faults, -np.inf))
        channels = {}
        for channel, names in self._channels.items():
            value = _together([surprises[name] for name in names])
            channels[channel] = (
                _common_logarithm(self._channel_surprise[channel], value),
                conformal_p_value(value, self._of_channel[channel]),
            )
        return Verdict(self._score(whole), conformal_p_value(whole, self._whole), channels)

    def score_of_faults(self, n_faults: int) -> float:
        """Score a structure that has faults, and of which nothing else is known."""
        return float(self._score(np.array([FAULT * n_faults]))[0])

    def _score(self, whole: Numbers) -> Numbers:
        return _common_logarithm(self._whole_surprise, whole)

    def _mixture(self, surprises: Mapping[str, Numbers]) -> Numbers:
        """Let the experts speak, each surprised by what it sees as a whole."""
        heard = [
            np.log(weight) + surprise(np.exp(np.minimum(_sum(surprises, names), LARGEST_EXPONENT)))
            for surprise, (names, weight) in zip(self._opinions, self._experts, strict=True)
        ]
        return _together(heard)

    def _surprises(self, statistics: Mapping[str, Numbers]) -> dict[str, Numbers]:
        return {name: self.source.surprises[name](_remarkable(statistics[name])) for name in self._measured}


def _remarkable(values: Numbers) -> Numbers:
    return values.clip(min=UNREMARKABLE)


def _sum(surprises: Mapping[str, Numbers], names: Sequence[str]) -> Numbers:
    return np.sum([surprises[name] for name in names], axis=0)


def _together(opinions: list[Numbers]) -> Numbers:
    return np.logaddexp.reduce(np.stack(opinions), axis=0)


def _common_logarithm(surprise: Surprise, value: Numbers) -> Numbers:
    return surprise(np.exp(np.minimum(value, LARGEST_EXPONENT))) / np.log(10) + 0.0  # and not -0


def _shift_by_size(whole: Numbers, heavy_atoms: Numbers) -> Callable[[Numbers], Numbers]:
    """Find what to take from scores, by heavy atoms, so that those of all sizes are high equally often."""
    size = np.searchsorted(np.array(SIZES), heavy_atoms)
    groups = [size == group for group in np.unique(size)]
    groups = [group for group in groups if group.sum() >= FEWEST_OF_SIZE]
    if not groups:
        return np.zeros_like
    middle = np.array([np.median(heavy_atoms[group]) for group in groups])
    high = np.array([np.quantile(whole[group], SIZE_TAIL) for group in groups])
    shift = high - np.quantile(whole, SIZE_TAIL)
    return lambda sizes: np.interp(sizes, middle, shift)
