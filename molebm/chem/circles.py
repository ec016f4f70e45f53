"""Circular surroundings of the atoms of a molecular graph, and in how many molecules of a library each is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Final, NamedTuple

from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator

from molebm.chem.fingerprints import Atoms, circle_atoms, heavy_atoms_of

RADIUS: Final = 2  # bonds; of the largest


class Circle(NamedTuple):
    """An atom with all that is at most so many bonds away."""

    key: int  # the same for the same surroundings
    radius: int
    centre: int  # among the heavy atoms


def circles(mol: Chem.Mol) -> list[Circle]:
    """Find the circles of every atom that are no copies of smaller ones; hydrogens do not count.

    References
    ----------
    Rogers and Hahn, J. Chem. Inf. Model. 50, 742 (2010).
    """
    heavy, _ = heavy_atoms_of(mol)
    output = rdFingerprintGenerator.AdditionalOutput()
    output.AllocateBitInfoMap()
    _generator().GetSparseCountFingerprint(heavy, additionalOutput=output)
    return [Circle(key, radius, centre) for key, found in output.GetBitInfoMap().items() for centre, radius in found]


def atoms_in(mol: Chem.Mol, found: Sequence[Circle]) -> list[Atoms]:
    """Atoms of each circle, the centre first; indices are those of the molecule."""
    heavy, places = heavy_atoms_of(mol)
    return [circle_atoms(heavy, places, circle.centre, circle.radius) for circle in found]


def molecules_with(many: Iterable[Iterable[Circle]]) -> Counter[int]:
    """Count the molecules that have each circle, by its key."""
    return Counter(key for found in many for key in {circle.key for circle in found})


@cache
def _generator() -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS)
