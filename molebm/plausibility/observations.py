"""What is looked at in a structure: terms, each with what it is, what was expected, and how far off it is."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor


class Kind(NamedTuple):
    """One kind of term that is looked at."""

    name: str
    channel: str
    unit: str
    least_scale: float  # in that unit; no environment is known better
    signed: bool  # whether it can be off both ways
    words: str  # a format of the names of its atoms a, b, c, d and of given, expected, deviation and scale


BOND: Final = Kind("bond", "geometry", "Å", 0.01, True, "{a}–{b} {given:.2f} Å, expected {expected:.2f} ± {scale:.2f}")
RING_BOND: Final = BOND._replace(name="ring bond")
ANGLE: Final = Kind(
    "angle", "geometry", "°", 1.0, True, "angle {a}–{b}–{c} {given:z.0f}°, expected {expected:z.0f} ± {scale:.0f}"
)
RING_ANGLE: Final = ANGLE._replace(name="ring angle")
PLANE: Final = Kind(
    "plane", "geometry", "°", 1.0, True, "{b} {given:z.0f}° out of plane, expected {expected:z.0f} ± {scale:.0f}"
)
STIFF: Final = Kind(
    "double bond",
    "geometry",
    "°",
    1.0,
    True,
    "{b}={c} twisted to {given:z.0f}°, expected {expected:z.0f} ± {scale:.0f}",
)
FLAT: Final = STIFF._replace(
    name="flat ring", words="ring twisted to {given:z.0f}° at {b}–{c}, expected {expected:z.0f} ± {scale:.0f}"
)
CONJUGATED: Final = Kind(
    "conjugated bond",
    "torsions",
    "°",
    2.0,
    True,
    "{b}–{c} twisted to {given:z.0f}°, expected {expected:z.0f} ± {scale:.0f}",
)
RING: Final = Kind(
    "ring torsion", "torsions", "°", 2.0, True, "ring at {b}–{c} {given:z.0f}°, expected {expected:z.0f} ± {scale:.0f}"
)
ROTOR: Final = Kind(
    "rotor",
    "torsions",
    "kcal/mol",
    0.2,
    False,
    "torsion {a}–{b}–{c}–{d} {given:z.0f}°, {deviation:.1f} kcal/mol high",
)
ROTAMER: Final = ROTOR._replace(
    name="rotamer", words="torsion {a}–{b}–{c}–{d} {given:z.0f}°, {deviation:.1f} kcal/mol above another rotamer"
)
TWIST: Final = ROTOR._replace(
    name="twist", words="torsion {a}–{b}–{c}–{d} {given:z.0f}°, {deviation:.1f} kcal/mol of twist about its bond"
)
CONTACT: Final = Kind(
    "contact", "contacts", "kcal/mol", 0.1, False, "{a}···{b} {given:.2f} Å, expected at least {expected:.2f}"
)
HYDROGEN_LENGTH: Final = Kind(
    "hydrogen length", "hydrogens", "Å", 0.05, True, "{a}–{b} {given:.2f} Å, expected {expected:.2f} ± {scale:.2f}"
)
HYDROGEN_PLACE: Final = Kind(
    "hydrogen place", "hydrogens", "Å", 0.15, False, "{b} {deviation:.1f} Å from its place at {a}, usual {scale:.1f}"
)
KINDS: Final = (
    BOND,
    RING_BOND,
    ANGLE,
    RING_ANGLE,
    PLANE,
    STIFF,
    FLAT,
    CONJUGATED,
    RING,
    TWIST,
    ROTOR,
    ROTAMER,
    CONTACT,
    HYDROGEN_LENGTH,
    HYDROGEN_PLACE,
)


class Observations(NamedTuple):
    """All terms of one kind, in a batch of G molecules with C poses each."""

    kind: Kind
    atoms: Tensor  # (K, T) int64
    molecule: Tensor  # (T,) int64
    keys: Tensor  # (L, T) int64, of their environments from coarse to fine
    given: Tensor  # (T, C) in the unit that the words name
    expected: Tensor  # (T, C) the same, as the energy has it
    deviation: Tensor  # (T, C) in the unit of the kind, 0 where all is as expected


def wrapped(degrees: Tensor) -> Tensor:
    """Bring differences of torsions between -180 and 180 degrees."""
    return torch.remainder(degrees + 180, 360) - 180
