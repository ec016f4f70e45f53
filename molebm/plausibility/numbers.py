"""All statistics of a measurement, the energies of its terms together among them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from molebm.plausibility.joint_energy import JointEnergy
from molebm.plausibility.measurement import Measurement
from molebm.plausibility.profile import PROFILE, WITHOUT_STRAIN, profile
from molebm.plausibility.statistics import JOINT, JOINT_WITHOUT_STRAIN, Standardised, statistics

Numbers = NDArray[np.float64]

LENGTHS = {JOINT: len(PROFILE), JOINT_WITHOUT_STRAIN: len(WITHOUT_STRAIN)}
"""How many numbers of a profile each joint energy looks at, the first of them."""


def numbers_of(
    measurement: Measurement, terms: Sequence[Standardised], joint: Mapping[str, JointEnergy]
) -> dict[str, Numbers]:
    """Sum up a measurement, each statistic (G * C,), pose by pose within each molecule."""
    profiles = profiles_of(measurement, terms)
    energies = {name: energy(profiles[:, : LENGTHS[name]]) for name, energy in joint.items()}
    return statistics_of(measurement, terms) | energies


def statistics_of(measurement: Measurement, terms: Sequence[Standardised]) -> dict[str, Numbers]:
    """Sum up a measurement without the energies of its terms together, each statistic (G * C,)."""
    return {name: values.numpy().ravel() for name, values in statistics(measurement, terms).items()}


def profiles_of(measurement: Measurement, terms: Sequence[Standardised]) -> Numbers:
    """Return the profiles of a measurement, (G * C, P)."""
    return profile(measurement, terms).flatten(0, 1).numpy()
