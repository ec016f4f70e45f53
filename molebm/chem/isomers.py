"""Stereochemistry that was left open: where it is, and the molecules that it may mean."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from rdkit import Chem, rdBase
from rdkit.Chem.EnumerateStereoisomers import (
    EnumerateStereoisomers,
    GetStereoisomerCount,
    StereoEnumerationOptions,
)

from molebm.chem.stereo import declared_centres
from molebm.errors import RequestError

ENUMERATED: Final = 64  # isomers up to which all are made before some are drawn
_MOST_BRIDGED: Final = 8  # atoms between bridgeheads; in,out-bicyclo[4.4.1]undecane is known
_MOST_FUSED: Final = 4  # the same where the bridgeheads are bonded; trans-bicyclo[4.1.0]heptane is known


class OpenStereo(NamedTuple):
    """Atoms and bonds, by index, whose configuration matters and is not declared."""

    centres: list[int]
    double_bonds: list[int]

    def __bool__(self) -> bool:
        return bool(self.centres or self.double_bonds)


def open_stereo(mol: Chem.Mol) -> OpenStereo:
    """Find tetrahedral centres and double bonds that could be declared one way or the other, and are not.

    Of an imine C=N-H the double bond is among them only if its hydrogen is explicit.
    """
    elements = [
        element
        for element in Chem.FindPotentialStereo(Chem.Mol(mol))
        if element.specified in (Chem.StereoSpecified.Unspecified, Chem.StereoSpecified.Unknown)
    ]
    return OpenStereo(
        [int(e.centeredOn) for e in elements if e.type == Chem.StereoType.Atom_Tetrahedral],
        [int(e.centeredOn) for e in elements if e.type == Chem.StereoType.Bond_Double],
    )


def stereoisomers(mol: Chem.Mol, at_most: int, *, seed: int = 0) -> list[Chem.Mol]:
    """Declare what is open in every way, giving different molecules, the same ones whenever asked.

    Declared stereo stays; a molecule that is declared throughout comes back alone, and one whose isomers are
    the same twice (meso) gives it once. Isomers that rings are too small for are left out, as
    `is_strained` finds them; that the rest can exist is left to embedding. If there are more than `at_most`,
    a random choice of so many is made. Conformers are not kept, since they may be of another isomer.

    Raises
    ------
    RequestError
        If fewer than one is asked for.
    """
    if at_most < 1:
        raise RequestError(f"{at_most} stereoisomers were asked for; ask for at least 1")
    mol = Chem.Mol(mol)
    mol.RemoveAllConformers()
    for bond in mol.GetBonds():  # crossed bonds, and single bonds drawn wavy, are open and nothing more
        if bond.GetStereo() == Chem.BondStereo.STEREOANY:
            bond.SetStereo(Chem.BondStereo.STEREONONE)
    if not open_stereo(mol):
        return [mol]
    made = list(_made(mol, at_most, seed))
    made = [one for one in made if not is_strained(one)] or made
    if len(made) > at_most:
        places = sorted(random.Random(seed).sample(range(len(made)), at_most))
        made = [made[place] for place in places]
    return made


def random_stereoisomer(mol: Chem.Mol, seed: int) -> Chem.Mol:
    """Declare what is open in one way, each of the isomers being as likely as the others."""
    return stereoisomers(mol, 1, seed=seed)[0]


def is_strained(mol: Chem.Mol) -> bool:
    """Whether declared bridgeheads of two small rings point in opposite ways, as in trans-norbornane.

    Two rings that share a bond are too small for it with up to four more atoms (trans-bicyclo[3.1.0]hexane), and
    bridged ones with up to eight atoms beside the bridgeheads.
    """
    signs = {atoms[0]: (atoms[1:], sign) for atoms, sign in declared_centres(mol)}
    for (a, b), paths in _bridgeheads(mol):
        if a not in signs or b not in signs:
            continue
        ends = [(path[0], path[-1]) if path else (b, a) for path in paths]
        if _turn(mol, a, [first for first, _ in ends], signs) == _turn(mol, b, [last for _, last in ends], signs):
            return True
    return False


def _made(mol: Chem.Mol, at_most: int, seed: int) -> Iterator[Chem.Mol]:
    options = StereoEnumerationOptions(onlyUnassigned=True, unique=True, rand=random.Random(seed))
    if GetStereoisomerCount(mol, options) > ENUMERATED:
        options.maxIsomers = max(ENUMERATED, 4 * at_most)
    with rdBase.BlockLogs():
        yield from EnumerateStereoisomers(mol, options)


def _bridgeheads(mol: Chem.Mol) -> Iterator[tuple[tuple[int, int], list[list[int]]]]:
    """Yield pairs of bridgeheads of two small rings with the three paths from the first to the second."""
    rings = [list(ring) for ring in Chem.GetSymmSSSR(mol)]
    for i, one in enumerate(rings):
        for other in rings[:i]:
            shared = [atom for atom in one if atom in other]
            if not 2 <= len(shared) < min(len(one), len(other)):
                continue
            path = _contiguous(one, set(shared))
            if path is None or len(path) != len(shared):
                continue
            a, b = path[0], path[-1]
            paths = [path[1:-1], *(_way_round(ring, a, b, set(shared)) for ring in (one, other))]
            n_between = sum(len(inner) for inner in paths)
            if n_between <= (_MOST_BRIDGED if len(path) > 2 else _MOST_FUSED):
                yield (a, b), paths


def _contiguous(ring: list[int], shared: set[int]) -> list[int] | None:
    """Return the shared atoms in the order of the ring, if they follow one another."""
    size = len(ring)
    starts = [k for k in range(size) if ring[k] in shared and ring[k - 1] not in shared]
    if len(starts) != 1:
        return None
    turned = ring[starts[0] :] + ring[: starts[0]]
    return turned[: len(shared)]


def _way_round(ring: list[int], a: int, b: int, shared: set[int]) -> list[int]:
    """List the atoms of the ring that are not shared, from a to b."""
    turned = ring[ring.index(a) :] + ring[: ring.index(a)]
    outside = [atom for atom in turned if atom not in shared]
    return outside if turned[1] not in shared else outside[::-1]


def _turn(mol: Chem.Mol, centre: int, three: list[int], signs: Mapping[int, tuple[tuple[int, ...], int]]) -> int:
    """Sign of the triple product of three neighbours of a declared centre."""
    neighbours, sign = signs[centre]
    if set(three) == set(neighbours):
        return sign * _parity([neighbours.index(atom) for atom in three])
    (fourth,) = set(three) - set(neighbours)
    (absent,) = set(neighbours) - set(three)
    swapped = [absent if atom == fourth else atom for atom in three]
    return -sign * _parity([neighbours.index(atom) for atom in swapped])


def _parity(places: list[int]) -> int:
    inversions = sum(places[i] > places[j] for i in range(len(places)) for j in range(i + 1, len(places)))
    return -1 if inversions % 2 else 1
