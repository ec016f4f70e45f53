"""Single bonds that hardly turn, as of amides and esters, and which way round they prefer to be."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from itertools import product
from typing import Final, NamedTuple

from torch import Tensor

from molebm.forcefield.kernel import ELECTROSTATIC_BUFFER, buffered_14_7, pair_charges, torsion_energy
from molebm.forcefield.parameters import Parameters
from molebm.forcefield.rest import Rest, lookup
from molebm.topology import Topology

BARRIER: Final = 6.0  # kcal/mol of the torsion terms, from which a bond counts as one that hardly turns
PREFERENCE: Final = 0.5  # kcal/mol, from which one way round counts as preferred
SMALL_RING: Final = 8  # atoms; smaller rings leave no choice


CIS, TRANS, ACROSS = range(3)  # places in the energies of a torsion


class FlatBonds(NamedTuple):
    """Atoms on either side of bonds that hardly turn, and how far apart they are as these prefer."""

    ends: Tensor  # (2, D) int64
    distance: Tensor  # (D,) Å


class _Bond(NamedTuple):
    """A single bond between atoms with one or two other neighbours each."""

    b: int
    c: int
    before: list[int]  # other neighbours of b
    after: list[int]  # other neighbours of c


def flat_bonds(topology: Topology, parameters: Parameters) -> FlatBonds:
    """Find bonds whose torsion terms are stiff, and compare their two planes by these and by pairs three bonds apart.

    Secondary amides come out as trans and esters as Z, as far as the energy has them so.
    """
    rest = lookup(topology, parameters)
    torsions = _torsions_by_ends(topology, parameters)
    pairs = _pairs_by_ends(topology, parameters)
    ends, distance = [], []
    for bond in _candidates(topology):
        energies = [_planar_energy(bond, way, rest, torsions, pairs) for way in (0, 1)]
        turned = sum(
            torsions[frozenset(pair)][ACROSS]
            for pair in product(bond.before, bond.after)
            if frozenset(pair) in torsions
        )
        flat = min(terms for terms, _ in energies)
        first, second = (terms + far for terms, far in energies)
        if turned - flat < BARRIER or abs(first - second) < PREFERENCE:
            continue
        way = int(second < first)
        for a, d, cis in _arrangement(bond, way):
            ends.append((a, d))
            distance.append(rest.across(a, bond.b, bond.c, d, cis=cis))
    like = parameters.bond_length
    return FlatBonds(topology.bonds.new_tensor(ends).reshape(-1, 2).T.contiguous(), like.new_tensor(distance))


def _candidates(topology: Topology) -> Iterator[_Bond]:
    neighbours: dict[int, list[int]] = defaultdict(list)
    for i, j in topology.bonds.T.tolist():
        neighbours[i].append(j)
        neighbours[j].append(i)
    for (b, c), (kind, _, ring) in zip(topology.bonds.T.tolist(), topology.bond_features.T.tolist(), strict=True):
        before = [atom for atom in neighbours[b] if atom != c]
        after = [atom for atom in neighbours[c] if atom != b]
        if kind == 0 and not 0 < ring < SMALL_RING and all(1 <= len(side) <= 2 for side in (before, after)):
            yield _Bond(b, c, before, after)


def _arrangement(bond: _Bond, way: int) -> Iterator[tuple[int, int, bool]]:
    """Pair the atoms of either side, cis or trans; the two ways are half a turn apart."""
    for (m, a), (n, d) in product(enumerate(bond.before), enumerate(bond.after)):
        yield a, d, (m + n + way) % 2 == 0


def _planar_energy(
    bond: _Bond,
    way: int,
    rest: Rest,
    torsions: dict[frozenset[int], tuple[float, float, float]],
    pairs: dict[frozenset[int], tuple[float, float, float]],
) -> tuple[float, float]:
    """Energy of the torsions about a bond and of the pairs across it, kcal/mol."""
    turning = across = 0.0
    for a, d, cis in _arrangement(bond, way):
        key = frozenset((a, d))
        if key in torsions:
            turning += torsions[key][CIS if cis else TRANS]
        if key in pairs:
            radius, depth, charge = pairs[key]
            r = rest.across(a, bond.b, bond.c, d, cis=cis)
            across += buffered_14_7(r / radius, depth) + charge / (r + ELECTROSTATIC_BUFFER)
    return turning, across


def _torsions_by_ends(topology: Topology, parameters: Parameters) -> dict[frozenset[int], tuple[float, float, float]]:
    """Energies of each torsion when it is cis, trans and at right angles, kcal/mol."""
    v = parameters.torsion_v
    cosines = v.new_tensor([1.0, -1.0, 0.0]).expand(v.shape[1], 3)
    ends = [frozenset((a, d)) for a, _, _, d in topology.torsions.T.tolist()]
    return dict(zip(ends, torsion_energy(cosines, v).tolist(), strict=True))


def _pairs_by_ends(topology: Topology, parameters: Parameters) -> dict[frozenset[int], tuple[float, float, float]]:
    """Radius, depth and charges of each pair three bonds apart."""
    columns = (parameters.pair_radius, parameters.pair_depth, pair_charges(topology, parameters.charge))
    numbers = zip(*(column[topology.pairs_14].tolist() for column in columns), strict=True)
    ends = topology.pairs[:, topology.pairs_14].T.tolist()
    return dict(zip((frozenset(pair) for pair in ends), numbers, strict=True))
