"""Lengths and angles at rest, by the atoms that they concern."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology

_TRIGONAL: Final = 2 * math.pi / 3  # rad, of an angle that has no term


class Rest(NamedTuple):
    """What a molecule's bonds and angles tend to."""

    length: dict[frozenset[int], float]  # Å, by bonded atoms
    theta: dict[tuple[int, frozenset[int]], float]  # rad, by centre and ends

    def across(self, a: int, b: int, c: int, d: int, *, cis: bool) -> float:
        """Distance of a and d in the planar chain a-b-c-d, Å."""
        ab, bc, cd = (self.length[frozenset(pair)] for pair in ((a, b), (b, c), (c, d)))
        first = self.theta.get((b, frozenset((a, c))), _TRIGONAL)
        second = self.theta.get((c, frozenset((b, d))), _TRIGONAL)
        along = bc - ab * math.cos(first) - cd * math.cos(second)
        up, down = ab * math.sin(first), cd * math.sin(second)
        return math.hypot(along, up - down if cis else up + down)


def lookup(topology: Topology, parameters: Parameters) -> Rest:
    """Tabulate what is at rest."""
    bonds = [frozenset(pair) for pair in topology.bonds.T.tolist()]
    angles = [(j, frozenset((i, k))) for i, j, k in topology.angles.T.tolist()]
    return Rest(
        dict(zip(bonds, parameters.bond_length.tolist(), strict=True)),
        dict(zip(angles, parameters.angle_theta.tolist(), strict=True)),
    )
