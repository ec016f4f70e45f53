"""The kinds of defects to put into good structures: what a score of structures should find, and where.

Each function takes a molecule with one conformer, a severity and a generator, which chooses the place, and returns a
`Defect`, or None where the molecule has no place for it. Hydrogens may be there or not. What is given is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from centre_defects import planar_centre, pyramidal_amide, swapped_elements
from graph_defects import extra_hydrogen, missing_hydrogen, wrong_bond_order
from rdkit import Chem
from relaxed_defects import boat_ring, epimer
from rigid_moves import Defect
from ring_defects import bumped_aromatic, flattened_ring, twisted_aromatic
from stereo_defects import inverted_centre, mirror_image, turned_double_bond
from structure_defects import bent_angle, bent_triple_bond, noise, scaled, stretched_bond, stretched_hydrogen
from torsion_defects import cis_amide, close_contact, eclipsed_torsion, twisted_double_bond


class Kind(NamedTuple):
    """A function that makes one kind of defect, and the severities to make it with, of each sign from the mildest."""

    name: str
    make: Callable[[Chem.Mol, float, np.random.Generator], Defect | None]
    severities: tuple[float, ...]
    unit: str = ""  # of the severities; empty where they have no meaning
    at_one_site: bool = True  # so that the atoms of the defect say where it is
    against_declared: bool = False  # the tags say that it is wrong


KINDS: Final = (
    Kind("noise", noise, (0.02, 0.05, 0.1, 0.2, 0.3), "Å", at_one_site=False),
    Kind("bond", stretched_bond, (-0.1, -0.2, -0.3, -0.5, 0.1, 0.2, 0.3, 0.5), "Å"),
    Kind("angle", bent_angle, (-15, -30, 15, 30), "°"),
    Kind("aromatic atom", bumped_aromatic, (0.2, 0.4, 0.6), "Å"),
    Kind("flattened ring", flattened_ring, (0.5, 1), "of the way"),
    Kind("cis amide", cis_amide, (180,), "°"),
    Kind("inverted centre", inverted_centre, (1,), against_declared=True),
    Kind("epimer", epimer, (1,), against_declared=True),
    Kind("E/Z flip", turned_double_bond, (1,), against_declared=True),
    Kind("mirror image", mirror_image, (1,), at_one_site=False, against_declared=True),
    Kind("eclipsed torsion", eclipsed_torsion, (0.5, 1), "of the way"),
    Kind("contact", close_contact, (2.2, 1.5), "Å at least"),
    Kind("bond order", wrong_bond_order, (-1, 1), "order"),
    Kind("X-H bond", stretched_hydrogen, (0.1, 0.2, 0.3, 0.5), "Å"),
    Kind("bent triple bond", bent_triple_bond, (15, 30), "°"),
    Kind("missing hydrogen", missing_hydrogen, (1,), "atoms"),
    Kind("extra hydrogen", extra_hydrogen, (1,), "atoms"),
    Kind("planar centre", planar_centre, (0.5, 1), "of the way"),
    Kind("pyramidal amide", pyramidal_amide, (0.2, 0.4), "Å"),
    Kind("twisted double bond", twisted_double_bond, (30, 60), "°"),
    Kind("twisted aromatic ring", twisted_aromatic, (0.1, 0.2), "Å"),
    Kind("scaled", scaled, (-0.03, 0.03), "of the size", at_one_site=False),
    Kind("swapped elements", swapped_elements, (1,)),
    Kind("boat ring", boat_ring, (1,)),
)


def made(kind: Kind, severity: float, mol: Chem.Mol, seed: tuple[int, ...]) -> Defect | None:
    """Make a defect at a place that the seed and the kind decide, the same for all severities where it can be."""
    return kind.make(mol, severity, np.random.default_rng([*seed, crc32(kind.name.encode())]))


def level(kind: Kind, severity: float) -> int:
    """Rank of a severity among those of its sign, from 1 for the mildest."""
    return 1 + [s for s in kind.severities if s * severity > 0].index(severity)
