"""One source of trusted structures, and how others compare with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from molebm.plausibility.joint_energy import JointEnergy
from molebm.plausibility.observations import (
    ANGLE,
    BOND,
    CONJUGATED,
    CONTACT,
    FLAT,
    HYDROGEN_LENGTH,
    HYDROGEN_PLACE,
    KINDS,
    PLANE,
    RING,
    RING_ANGLE,
    RING_BOND,
    ROTAMER,
    ROTOR,
    STIFF,
    TWIST,
)
from molebm.plausibility.statistics import DRIFT, JOINT, JOINT_WITHOUT_STRAIN, STRAIN
from molebm.plausibility.surprise import Surprise, conformal_p_value

Numbers = NDArray[np.float64]

SIZES: Final = (16, 22, 28, 36)  # heavy atoms, between which sizes are told apart
SIZE_TAIL: Final = 0.8  # quantile of the scores that is the same for all sizes
FEWEST_OF_SIZE: Final = 30  # trusted structures of a size whose quantile is believed
_OTHERS: Final = {"geometry": (DRIFT,), "strain": (STRAIN,)}
CHANNELS: Final[dict[str, tuple[str, ...]]] = {
    channel: (*(kind.name for kind in KINDS if kind.channel == channel), *_OTHERS.get(channel, ()))
    for channel in ("geometry", "torsions", "contacts", "strain", "hydrogens")
}
"""The channels that numbers measure, and the statistics in each."""

JOINTS: Final = (JOINT, JOINT_WITHOUT_STRAIN)
UNREMARKABLE_DRIFT: Final = 0.2  # scales, of all bonds on average
UNREMARKABLE: Final = 1.0  # scales, or kcal/mol of strain: as much surprises nobody, whatever the source

WEIGHTS: Final[dict[str, float]] = {
    **dict.fromkeys(JOINTS, 26.0),
    BOND.name: 1.2,
    RING_BOND.name: 0.5,
    ANGLE.name: 1.7,
    RING_ANGLE.name: 0.06,
    PLANE.name: 0.3,
    STIFF.name: 0.12,
    FLAT.name: 1.6,
    CONJUGATED.name: 0.15,
    RING.name: 0.04,
    TWIST.name: 0.15,
    ROTOR.name: 0.03,
    ROTAMER.name: 0.3,
    CONTACT.name: 0.3,
    HYDROGEN_LENGTH.name: 0.5,
    HYDROGEN_PLACE.name: 0.15,
    DRIFT: 0.03,
    STRAIN: 0.02,
}
"""How loudly each statistic is heard; the least what the joint energy tells better, until it is far beyond all."""

WEIGHTS_OF_PLACES: Final[dict[str, float]] = {
    BOND.name: 2.0,
    RING_BOND.name: 3.0,
    ANGLE.name: 1.2,
    RING_ANGLE.name: 0.03,  # what is wrong with a bond or a plane opens and closes the angles of its ring
    PLANE.name: 2.0,
    STIFF.name: 0.2,
    FLAT.name: 0.25,  # of each atom there are many
    CONJUGATED.name: 0.4,
    RING.name: 0.4,
    TWIST.name: 1.0,
    ROTOR.name: 0.03,
    ROTAMER.name: 0.2,  # what turning a bond gains is in part of what it sets free
    CONTACT.name: 0.6,
    HYDROGEN_LENGTH.name: 1.2,
    HYDROGEN_PLACE.name: 1.2,
}
"""The same for each kind of term where it is asked which atoms are at fault: the joint energy does not say."""

LARGEST_EXPONENT: Final = 700.0
FAULT: Final = 60.0  # nats, of one declared thing that is not so


@dataclass(frozen=True)
class Source:
    """Trusted structures of one kind of source."""

    provenance: str
    statistics: Mapping[str, Numbers]  # (n,) each, structures in one order
    heavy_atoms: Numbers  # (n,)
    joint: Mapping[str, JointEnergy]  # by the statistic that it is

    @property
    def n(self) -> int:
        return len(self.heavy_atoms)

    @cached_property
    def surprises(self) -> dict[str, Surprise]:
        return {name: Surprise(_remarkable(name, values)) for name, values in self.statistics.items()}


class Verdict(NamedTuple):
    """What is made of the statistics of structures, each (n,)."""

    score: Numbers  # minus the common logarithm of the smooth share of trusted structures that score as high
    p_value: Numbers
    channels: dict[str, tuple[Numbers, Numbers]]  # score and p-value, of those that were measured


class Yardstick:
    """One source of trusted structures, and how their statistics are put together.

    The score is minus the logarithm of the harmonic mean of p-values by their `WEIGHTS`: that of the energy of all
    terms together, which knows what is unusual in such a structure, and those of the worst terms one by one, so that
    what is far beyond all that the energy was learned from decides alone. Larger molecules have more that can be
    unusual: the scores of each size are moved so that they are high equally often.

    References
    ----------
    Wilson, Proc. Natl. Acad. Sci. USA 116, 1195 (2019).
    """

    def __init__(self, source: Source, measured: frozenset[str]) -> None:
        self.source = source
        self._measured = [name for name in source.statistics if name in measured]
        self.joint = {name: energy for name, energy in source.joint.items() if name in measured}
        self._channels = {
            channel: kept for channel, names in CHANNELS.items() if (kept := [n for n in names if n in self._measured])
        }
        surprises = self._surprises(source.statistics)
        whole = _mean(surprises)
        self._shift = _shift_by_size(whole, source.heavy_atoms)
        self._whole = whole - self._shift(source.heavy_atoms)
        self._whole_surprise = Surprise(np.exp(self._whole))
        self._of_channel = {c: _mean({name: surprises[name] for name in names}) for c, names in self._channels.items()}
        self._channel_surprise = {c: Surprise(np.exp(values)) for c, values in self._of_channel.items()}
        self._usual = {name: float(np.quantile(values, 0.95)) for name, values in source.statistics.items()}

    def usual(self, statistic: str) -> float:
        """What one trusted structure in twenty exceeds."""
        return max(self._usual[statistic], UNREMARKABLE)

    def score_of_term(self, statistic: str, values: Numbers) -> Numbers:
        """Minus the common logarithm of the share of trusted structures whose worst term of a kind is as far off."""
        return self.source.surprises[statistic](_remarkable(statistic, values)) / np.log(10)

    def judge(self, statistics: Mapping[str, Numbers], heavy_atoms: Numbers, faults: Numbers) -> Verdict:
        """Score structures by their statistics (n,), their heavy atoms (n,) and how many faults they have (n,)."""
        surprises = self._surprises(statistics)
        whole = _mean(surprises) - self._shift(heavy_atoms)
        whole = np.logaddexp(whole, np.where(faults > 0, FAULT * faults, -np.inf))
        channels = {}
        for channel, names in self._channels.items():
            value = _mean({name: surprises[name] for name in names})
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

    def _surprises(self, statistics: Mapping[str, Numbers]) -> dict[str, Numbers]:
        return {name: self.source.surprises[name](_remarkable(name, statistics[name])) for name in self._measured}


def _remarkable(name: str, values: Numbers) -> Numbers:
    """Make little of small sizes, and sizes of energies."""
    if name in JOINTS:
        return np.exp(values.clip(max=LARGEST_EXPONENT))
    return values.clip(min=UNREMARKABLE_DRIFT if name == DRIFT else UNREMARKABLE)


def _mean(surprises: Mapping[str, Numbers]) -> Numbers:
    """Minus the logarithm of the weighted harmonic mean of p-values, of which surprises are minus the logarithms."""
    total = sum(WEIGHTS[name] for name in surprises)
    return np.logaddexp.reduce(
        [surprise + np.log(WEIGHTS[name] / total) for name, surprise in surprises.items()], axis=0
    )


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
