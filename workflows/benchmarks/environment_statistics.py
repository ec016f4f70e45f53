"""How far bonds, angles and planar groups are from those of reference structures, in standard deviations.

A plain score, for comparison: the mean and standard deviation of each environment are looked up by a key that names
elements, hybridisation, rings and neighbours, and by a coarser key where the references have too few of it. Hydrogens
count as neighbours, and their coordinates are not looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import combinations, product
from typing import Final, NamedTuple

import numpy as np
from rdkit import Chem
from rigid_moves import PARALLEL, Array

LEAST_COUNT: Final = 8  # values of an environment, for its mean and standard deviation to be used
FLOORS: Final = {"bond": 0.02, "angle": 2.0, "height": 0.035, "torsion": 0.085}  # least standard deviations
_SP2: Final = Chem.HybridizationType.SP2
_AMIDE: Final = Chem.MolFromSmarts("[CX3](=[OX1,SX1])-[NX3]")

Key = tuple


class Term(NamedTuple):
    """A bond, angle, height or torsion: its atoms, and what names its environment, the finest first."""

    kind: str
    atoms: tuple[int, ...]
    keys: tuple[Key, ...]


class Spread(NamedTuple):
    """Of a bond in Å, an angle in degrees, a height over a plane in Å, or the sine of a torsion."""

    mean: float
    deviation: float


Statistics = Mapping[Key, Spread]


def statistics_of(references: Iterable[Chem.Mol]) -> Statistics:
    """Learn the mean and standard deviation of every environment that comes often enough."""
    values: dict[Key, list[float]] = defaultdict(list)
    for mol in references:
        found = list(terms(mol))
        for term, value in zip(found, _values(mol, found), strict=True):
            for key in term.keys:
                values[key].append(value)
    return {key: _spread(key[0], found) for key, found in values.items() if len(found) >= LEAST_COUNT}


def z_scores(mol: Chem.Mol, statistics: Statistics) -> Array:
    """Distance from the mean of every term whose environment is known, in standard deviations."""
    known, spreads = [], []
    for term in terms(mol):
        if (key := next((key for key in term.keys if key in statistics), None)) is not None:
            known.append(term)
            spreads.append(statistics[key])
    mean, deviation = np.array(spreads).reshape(-1, 2).T
    return np.abs(_values(mol, known) - mean) / deviation


def terms(mol: Chem.Mol) -> Iterator[Term]:
    """List the terms of atoms other than hydrogen, those of one kind after each other."""
    types = [_types(atom) for atom in mol.GetAtoms()]
    near = [[a.GetIdx() for a in atom.GetNeighbors() if a.GetAtomicNum() > 1] for atom in mol.GetAtoms()]
    yield from _bonds(mol, types)
    yield from _angles(mol, types, near)
    yield from _heights(mol, types, near)
    yield from _torsions(mol, types, near)


def _bonds(mol: Chem.Mol, types: Sequence[Sequence[Key]]) -> Iterator[Term]:
    rings = mol.GetRingInfo()
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        if min(types[i][3][0], types[j][3][0]) > 1:
            order, ring = int(bond.GetBondType()), rings.MinBondRingSize(bond.GetIdx())
            keys = tuple(
                ("bond", order, ring if coarse < 3 else 0, coarse, *sorted((types[i][coarse], types[j][coarse])))
                for coarse in range(4)
            )
            yield Term("bond", (i, j), keys)


def _angles(mol: Chem.Mol, types: Sequence[Sequence[Key]], near: Sequence[Sequence[int]]) -> Iterator[Term]:
    rings = [(set(ring), len(ring)) for ring in mol.GetRingInfo().AtomRings()]
    for j, ends in enumerate(near):
        if types[j][3][0] == 1:
            continue
        orders = {i: int(mol.GetBondBetweenAtoms(i, j).GetBondType()) for i in ends}
        for i, k in combinations(ends, 2):
            size = min((n for ring, n in rings if {i, j, k} <= ring), default=0)
            keys = tuple(
                ("angle", size, coarse, types[j][middle], *sorted((orders[a], types[a][end]) for a in (i, k)))
                for coarse, (middle, end) in enumerate([(0, 1), (1, 2), (2, 2), (2, 3)])
            )
            yield Term("angle", (i, j, k), (*keys, ("angle", size, 4, types[j][2])))


def _heights(mol: Chem.Mol, types: Sequence[Sequence[Key]], near: Sequence[Sequence[int]]) -> Iterator[Term]:
    """Give atoms over their three neighbours, and aromatic atoms and what they bear over their ring."""
    for atom in mol.GetAtoms():
        i = atom.GetIdx()
        if len(near[i]) == 3 and atom.GetHybridization() == _SP2:
            yield Term("height", (i, *near[i]), _atom_keys("height", "centre", types[i]))
    for ring in mol.GetRingInfo().AtomRings():
        if all(mol.GetAtomWithIdx(i).GetIsAromatic() for i in ring):
            for place, i in enumerate(ring):
                corners = [ring[place - 1], ring[(place + 1) % len(ring)], ring[(place + 2) % len(ring)]]
                yield Term("height", (i, *corners), _atom_keys("height", "ring", types[i]))
                across = (ring[place - 2], ring[(place + 2) % len(ring)], i)
                for a in set(near[i]) - set(ring):
                    yield Term("height", (a, *across), _atom_keys("height", "substituent", types[i]))


def _torsions(mol: Chem.Mol, types: Sequence[Sequence[Key]], near: Sequence[Sequence[int]]) -> Iterator[Term]:
    """Give torsions about double bonds and amides, which are planar."""
    double = [
        (b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds() if b.GetBondType() == Chem.BondType.DOUBLE
    ]
    amides = [(c, n) for c, _, n in mol.GetSubstructMatches(_AMIDE)]
    for name, bonds in (("double", double), ("amide", amides)):
        for j, k in bonds:
            keys = (("torsion", name, *sorted((types[j][2], types[k][2]))), ("torsion", name))
            for i, m in product(near[j], near[k]):
                if len({i, j, k, m}) == 4:
                    yield Term("torsion", (i, j, k, m), keys)


def _types(atom: Chem.Atom) -> tuple[Key, ...]:
    """Name an atom, from fine to coarse: all are tuples of integers, which can be ordered."""
    size = atom.GetOwningMol().GetRingInfo().MinAtomRingSize(atom.GetIdx())
    coarse = (atom.GetAtomicNum(), int(atom.GetHybridization()), int(atom.GetIsAromatic()), atom.GetTotalDegree())
    medium = (*coarse, atom.GetTotalNumHs(True), atom.GetFormalCharge(), size)
    heavy = (a for a in atom.GetNeighbors() if a.GetAtomicNum() > 1)
    near = sorted((a.GetAtomicNum(), int(a.GetHybridization()), int(a.GetIsAromatic())) for a in heavy)
    return (*medium, *(number for one in near for number in one)), medium, coarse, (atom.GetAtomicNum(),)


def _atom_keys(kind: str, what: str, types: Sequence[Key]) -> tuple[Key, ...]:
    return (*((kind, what, *one) for one in types[:3]), (kind, what))


def _values(mol: Chem.Mol, found: Sequence[Term]) -> Array:
    """Measure the terms, which stand in the order of `terms`, (n,)."""
    x = mol.GetConformer().GetPositions()
    atoms = {kind: [term.atoms for term in found if term.kind == kind] for kind in _MEASURES}
    return np.concatenate(
        [_MEASURES[kind](*x[np.array(each).T]) if each else np.empty(0) for kind, each in atoms.items()]
    )


def _lengths(a: Array, b: Array) -> Array:
    return np.linalg.norm(a - b, axis=1)


def _degrees(a: Array, b: Array, c: Array) -> Array:
    cosine = ((a - b) * (c - b)).sum(axis=1) / (_lengths(a, b) * _lengths(c, b))
    return np.degrees(np.arccos(np.clip(cosine, -1, 1)))


def _over_plane(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Height of the first over the plane of the others."""
    normal = np.cross(c - b, d - b)
    return ((a - b) * normal).sum(axis=1) / np.maximum(np.linalg.norm(normal, axis=1), PARALLEL)


def _sines(a: Array, b: Array, c: Array, d: Array) -> Array:
    """Sine of the torsion, up to its sign."""
    first, last = np.cross(a - b, c - b), np.cross(b - c, d - c)
    lengths = np.linalg.norm(first, axis=1) * np.linalg.norm(last, axis=1)
    return np.linalg.norm(np.cross(first, last), axis=1) / np.maximum(lengths, PARALLEL)


_MEASURES: Final[dict[str, Callable[..., Array]]] = {
    "bond": _lengths,
    "angle": _degrees,
    "height": _over_plane,
    "torsion": _sines,
}


def _spread(kind: str, values: Sequence[float]) -> Spread:
    """Mean and standard deviation; what has no preferred side has a mean of 0."""
    found = np.array(values)
    mean = float(found.mean()) if kind in ("bond", "angle") else 0.0
    return Spread(mean, max(float(np.sqrt(np.square(found - mean).mean())), FLOORS[kind]))
