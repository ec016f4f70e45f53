"""From many terms to a few numbers for each structure, the larger the less usual."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.plausibility.environments import Norm, learn_norm
from molebm.plausibility.measurement import Measurement
from molebm.plausibility.observations import (
    BOND,
    CONJUGATED,
    CONTACT,
    FLAT,
    KINDS,
    PLANE,
    RING,
    RING_BOND,
    STIFF,
    Kind,
    Observations,
)

LARGEST_USUAL: Final = 3.0  # scales; what is further off says nothing of how sharp the others are
PRIOR_TERMS: Final = 16.0  # terms of usual sharpness that those of a molecule are averaged with
MEAN_TO_SCALE: Final = 1.2533  # standard deviation of a normal over its mean absolute deviation
DRIFT_CUT: Final = 4.0  # scales
HIGHEST: Final = 1e6  # scales; nothing is further off
FEW_BONDS: Final = 4  # that say little of whether all are off one way

DRIFT, STRAIN = "drift", "strain"  # whether all bonds are off one way; kcal/mol
JOINT, JOINT_WITHOUT_STRAIN = "joint", "joint without strain"  # energies of all terms together; see `joint_energy`
_DRIFTING: Final = (BOND, RING_BOND)
# These are centred at 0, for the mirror image, which is as usual, is off the other way.
_HANDED: Final = (PLANE, STIFF, FLAT, CONJUGATED, RING)

_ABOUT_BONDS: Final = (STIFF, FLAT, CONJUGATED, RING)  # whose terms are all torsions about each bond

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

    def worst(self, n_molecules: int, number: int) -> list[Tensor]:
        """Return how far off the worst terms of each molecule are, so many of (G, C), 0 for those that are not there.

        The torsions about one bond count as one, by their root mean square.
        """
        sharp, molecule = self.sharp.nan_to_num(nan=HIGHEST), self.observations.molecule
        if self.observations.kind in _ABOUT_BONDS:
            sharp, molecule = _about_bonds(sharp, self.observations)
        return largest(sharp, molecule, n_molecules, number)


def largest(sizes: Tensor, molecule: Tensor, n_molecules: int, number: int) -> list[Tensor]:
    """Return the largest sizes (T, C) of each molecule, so many of (G, C), 0 where there are fewer."""
    descending = sizes.argsort(dim=0, descending=True)
    ordered = descending.gather(0, molecule[descending].argsort(dim=0, stable=True))
    padded = torch.cat([sizes.gather(0, ordered), sizes.new_zeros((1, sizes.shape[1]))])
    counts = torch.bincount(molecule, minlength=n_molecules)
    first = counts.cumsum(0) - counts
    return [padded[torch.where(counts > place, first + place, len(sizes))] for place in range(number)]


def _about_bonds(sharp: Tensor, torsions: Observations) -> tuple[Tensor, Tensor]:
    """Root mean square (B, C) over the torsions (T, C) about each bond, and the molecules (B,)."""
    ends = torsions.atoms[1:3].sort(dim=0).values
    bonds, bond = ends.unique(dim=1, return_inverse=True)
    counts = torch.bincount(bond)
    squares = sharp.new_zeros((bonds.shape[1], sharp.shape[1])).index_add(0, bond, sharp**2)
    molecule = torsions.molecule.new_zeros(bonds.shape[1]).scatter(0, bond, torsions.molecule)
    return (squares / counts[:, None]).sqrt(), molecule


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
    """Sum a measurement up, each statistic (G, C): of each kind, by its name, how far off the worst term is."""
    n_molecules = len(measurement.energy)
    zero = torch.zeros_like(measurement.energy)
    found = {}
    off, counts = zero, zero[:, 0]
    for term in terms:
        kind, molecule = term.observations.kind, term.observations.molecule
        (found[kind.name],) = term.worst(n_molecules, 1)
        if kind in _DRIFTING:
            off = off.index_add(0, molecule, term.z.nan_to_num(nan=DRIFT_CUT).clamp(-DRIFT_CUT, DRIFT_CUT))
            counts = counts + torch.bincount(molecule, minlength=n_molecules)
    found[DRIFT] = off.abs() / (counts + FEW_BONDS)[:, None]
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
