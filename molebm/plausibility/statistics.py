"""From many terms to a few numbers for each structure, the larger the less usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.plausibility.environments import Norm, learn_norm
from molebm.plausibility.measurement import Measurement
from molebm.plausibility.observations import (
    ANGLE,
    BOND,
    CONTACT,
    HYDROGEN_LENGTH,
    HYDROGEN_PLACE,
    KINDS,
    PLANE,
    RING,
    ROTOR,
    STIFF,
    Kind,
    Observations,
)

LARGEST_USUAL: Final = 3.0  # scales; what is further off says nothing of how sharp the others are
PRIOR_TERMS: Final = 16.0  # terms of usual sharpness that those of a molecule are averaged with
MEAN_TO_SCALE: Final = 1.2533  # standard deviation of a normal over its mean absolute deviation
SPREAD_CUT: Final = 4.0  # scales
FEW_BONDS: Final = 4  # that say little of whether all are off one way

STATISTICS: Final = {  # by the kinds whose worst term they are
    "bonds": (BOND.name,),
    "angles": (ANGLE.name,),
    "planes": (PLANE.name, STIFF.name),
    "rings": (RING.name,),
    "rotors": (ROTOR.name,),
    "contacts": (CONTACT.name,),
    "hydrogen lengths": (HYDROGEN_LENGTH.name,),
    "hydrogen places": (HYDROGEN_PLACE.name,),
}
SPREAD, DRIFT, STRAIN = "spread", "drift", "strain"  # of all terms; whether all bonds are off one way; kcal/mol
JOINT, JOINT_WITHOUT_STRAIN = "joint", "joint without strain"  # energies of all terms together; see `joint_energy`
_SPREAD_OF: Final = (BOND.name, ANGLE.name)  # the larger of their mean squares
_HANDED: Final = (PLANE, STIFF, RING)  # the mirror image, which is as usual, is off the other way: their centre is 0

Norms = Mapping[str, Norm]
"""What is usual, by the name of the kind of term."""


class Standardised(NamedTuple):
    """Observations in units of what is usual in their environments."""

    observations: Observations
    expected: Tensor  # (T, C) as observed, moved by what is usual
    scale: Tensor  # (T,)
    z: Tensor  # (T, C) scales off
    sharp: Tensor  # (T, C) the size of it, over how sharp the other terms of the molecule are

    def counted(self) -> Tensor:
        """Tell which terms a pose has, (T, C): of pairs those that are near in it, and not in another pose alone."""
        seen = self.observations
        return seen.given < seen.expected if seen.kind is CONTACT else torch.ones_like(self.z, dtype=torch.bool)


def standardise(observations: Observations, norm: Norm, n_molecules: int) -> Standardised:
    """Divide deviations by their usual scale, and by how far off the others of their kind and molecule are.

    A source that is twice as sharp as others shows a fault that is half as large.
    """
    centre, scale = norm.look_up(observations.keys)
    z = (observations.deviation - centre[:, None]) / scale[:, None]
    size = sharp = z.abs()
    if observations.kind.signed:
        usual = size.clamp(max=LARGEST_USUAL) * MEAN_TO_SCALE
        total = usual.new_zeros((n_molecules, usual.shape[1])).index_add(0, observations.molecule, usual)
        others = torch.bincount(observations.molecule, minlength=n_molecules)[observations.molecule, None] - 1
        sharp = size / ((total[observations.molecule] - usual + PRIOR_TERMS) / (others + PRIOR_TERMS))
    return Standardised(observations, observations.expected + centre[:, None], scale, z, sharp)


def standardised(measurement: Measurement, norms: Norms) -> list[Standardised]:
    """Standardise all observations of a measurement."""
    n_molecules = len(measurement.energy)
    return [standardise(one, norms[one.kind.name], n_molecules) for one in measurement.observations]


def statistics(measurement: Measurement, terms: Sequence[Standardised]) -> dict[str, Tensor]:
    """Sum a measurement up, each statistic (G, C)."""
    n_molecules = len(measurement.energy)
    zero = torch.zeros_like(measurement.energy)
    largest = {kind.name: zero for kind in KINDS}
    spreads = [zero]
    found = {DRIFT: zero}
    for term in terms:
        name, molecule = term.observations.kind.name, term.observations.molecule
        index = molecule[:, None].expand_as(term.sharp)
        largest[name] = largest[name].scatter_reduce(0, index, term.sharp.nan_to_num(nan=1e6), "amax")
        if name in _SPREAD_OF:
            squares = term.z.abs().nan_to_num(nan=SPREAD_CUT).clamp(max=SPREAD_CUT) ** 2
            counts = torch.bincount(molecule, minlength=n_molecules).clamp(min=1)
            spreads.append(zero.index_add(0, molecule, squares) / counts[:, None])
        if name == BOND.name:
            signed = term.z.nan_to_num(nan=SPREAD_CUT).clamp(-SPREAD_CUT, SPREAD_CUT)
            found[DRIFT] = zero.index_add(0, molecule, signed).abs() / (counts + FEW_BONDS)[:, None]
    found |= {name: torch.stack([largest[kind] for kind in kinds]).amax(0) for name, kinds in STATISTICS.items()}
    found[SPREAD] = torch.stack(spreads).amax(0)
    if measurement.strain is not None:
        found[STRAIN] = measurement.strain
    return found


def learn_norms(measurements: Sequence[Measurement]) -> dict[str, Norm]:
    """Learn what is usual from structures that are trusted, each measurement with one pose a molecule."""
    norms = {}
    for place, kind in enumerate(KINDS):
        of_kind = [measurement.observations[place] for measurement in measurements]
        norms[kind.name] = _learn(kind, of_kind)
    return norms


def _learn(kind: Kind, observations: Sequence[Observations]) -> Norm:
    values = torch.cat([one.deviation.flatten() for one in observations])
    keys = torch.cat([one.keys.repeat_interleave(one.deviation.shape[1], dim=1) for one in observations], dim=1)
    sound = values.isfinite()
    signed = kind.signed and kind not in _HANDED
    return learn_norm(values[sound], keys[:, sound], signed=signed, least_scale=kind.least_scale)
