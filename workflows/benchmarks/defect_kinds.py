"""The kinds of defects to put into good structures: what a score of structures should find, and where.

Each function takes a molecule with one conformer, a severity and a generator, which chooses the place, and returns a
`Defect`, or None where the molecule has no place for it. Hydrogens may be there or not. What is given is never changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
from centre_defects import (
    closed_umbrella,
    misplaced_nitrogen,
    planar_centre,
    pyramidal_amide,
    pyramidal_carbonyl,
    swapped_elements,
)
from graph_defects import extra_hydrogen, missing_hydrogen, wrong_bond_order
from rdkit import Chem
from relaxed_defects import boat_ring, epimer
from rigid_moves import Defect
from ring_defects import (
    alternating_aromatic,
    boat_aromatic,
    bumped_aromatic,
    flattened_ring,
    shifted_in_ring,
    swollen_ring,
    tilted_substituent,
    twisted_aromatic,
)
from stereo_defects import inverted_centre, mirror_image, turned_double_bond
from structure_defects import (
    bent_angle,
    bent_triple_bond,
    displaced_side,
    noise,
    scaled,
    sheared,
    squashed,
    stretched_bond,
    stretched_hydrogen,
    tilted_hydrogen,
)
from torsion_defects import (
    cis_amide,
    close_contact,
    eclipsed_torsion,
    twisted_amide,
    twisted_double_bond,
    twisted_ester,
)


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
FURTHER: Final = (
    Kind("squashed", squashed, (0.1, 0.3), "of the way", at_one_site=False),
    Kind("swollen ring", swollen_ring, (0.03, 0.06), "of the size"),
    Kind("alternating aromatic ring", alternating_aromatic, (0.05, 0.1), "Å"),
    Kind("boat aromatic ring", boat_aromatic, (0.1, 0.2), "Å"),
    Kind("substituent off ring", tilted_substituent, (10, 20), "°"),
    Kind("pyramidal carbonyl", pyramidal_carbonyl, (0.15, 0.3), "Å"),
    Kind("twisted amide", twisted_amide, (30, 60), "°"),
    Kind("tilted hydrogen", tilted_hydrogen, (20, 40), "°"),
)
"""Kinds that nothing is trained on; the weights of the scores were chosen with these and those above in view."""

LAST: Final = (
    Kind("atom shifted in ring", shifted_in_ring, (0.15, 0.3), "Å"),
    Kind("displaced side", displaced_side, (0.15, 0.3), "Å"),
    Kind("closed umbrella", closed_umbrella, (8, 15), "°"),
    Kind("twisted ester", twisted_ester, (45, 90), "°"),
    Kind("misplaced nitrogen", misplaced_nitrogen, (1,)),
    Kind("sheared", sheared, (0.03, 0.06), "of the size", at_one_site=False),
)
"""Kinds that were written down when all that molebm does was chosen."""

ALL: Final = (*KINDS, *FURTHER, *LAST)


def made(kind: Kind, severity: float, mol: Chem.Mol, seed: tuple[int, ...]) -> Defect | None:
    """Make a defect at a place that the seed and the kind decide, the same for all severities where it can be."""
    return kind.make(mol, severity, np.random.default_rng([*seed, crc32(kind.name.encode())]))


def level(kind: Kind, severity: float) -> int:
    """Rank of a severity among those of its sign, from 1 for the mildest."""
    return 1 + [s for s in kind.severities if s * severity > 0].index(severity)
