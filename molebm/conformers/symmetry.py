"""In which orders the heavy atoms of a molecule can be read without changing it, and what is free of the rest."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

MAX_ORDERS: Final = 1000  # that are looked at
LISTED: Final = 24  # orders up to which each is listed; beyond, independent groups are split off
_MOST: Final = 60  # orders beside the groups; what is left out, of dendrimers, makes distances too large
_LARGEST_GROUP: Final = 4  # atoms; the fluorines of SF5 are matched as all those orders that are listed
_ENDS = "[O,N;D1;$([O,N;D1]-[*]=[O,N;D1]),$([O,N;D1]=[*]-[O,N;D1])]~[*]"  # as RDKit's GetBestRMS has them
_CONJUGATED_END: Final = Chem.MolFromSmarts(_ENDS)

Order = tuple[int, ...]


class Symmetry(NamedTuple):
    """The orders are all products of one of `orders` with one of each of `groups`."""

    heavy: NDArray[np.int64]  # (n,) atoms that count: the heavy ones, or all where none is heavy
    orders: NDArray[np.int64]  # (M, n) places among those, the first as the molecule has them
    groups: tuple[NDArray[np.int64], ...]  # (K, n) each: orders of a few atoms, whatever the others do

    def all_orders(self) -> NDArray[np.int64]:
        """Multiply out, up to `MAX_ORDERS`, (M, n)."""
        products = itertools.islice(itertools.product(self.orders, *self.groups), MAX_ORDERS)
        return np.stack([_composed(order, groups) for order, *groups in products])


def symmetry(mol: Chem.Mol) -> Symmetry:
    """Find what can be exchanged in a molecule, with or without explicit hydrogens.

    Terminal oxygens and nitrogens that differ by a drawn double bond (carboxylate, nitro, sulfonyl,
    guanidinium) are equivalent, and stereo is left aside. Where there are more orders than `LISTED`, equal
    ends of one atom (of tert-butyl, trifluoromethyl, phosphate) and independent exchanges of two (the flip
    of a phenyl ring) are split off as groups, so that five tert-butyl groups make 5 x 6 orders, not 6⁵.
    """
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    graph = _without_hydrogens(mol) if heavy else Chem.RWMol(mol)
    heavy = heavy or list(range(mol.GetNumAtoms()))
    for end, centre in graph.GetSubstructMatches(_CONJUGATED_END):
        graph.GetBondBetweenAtoms(end, centre).SetBondType(Chem.BondType.SINGLE)
        graph.GetAtomWithIdx(end).SetFormalCharge(0)
    ends = _equal_ends(graph)
    orders = _orders(graph, ends)
    groups = [_permutations(len(heavy), atoms) for atoms in ends.values()]
    if len(orders) * math.prod(len(group) for group in groups) <= LISTED:
        listed = Symmetry(np.array(heavy), np.array(orders), tuple(groups)).all_orders()
        return Symmetry(np.array(heavy), listed, ())
    orders, flips = _flips_apart(orders, {atom for atoms in ends.values() for atom in atoms})
    return Symmetry(np.array(heavy), np.array(orders), (*groups, *flips))


def equivalent_orders(mol: Chem.Mol) -> NDArray[np.int64]:
    """List the orders in which the heavy atoms can be read without changing the molecule, (M, n) of its atoms.

    The first is as the molecule has them. Of highly symmetric molecules only `MAX_ORDERS` are listed.
    """
    found = symmetry(mol)
    return found.heavy[found.all_orders()]


def _equal_ends(graph: Chem.Mol) -> dict[tuple, list[int]]:
    """Collect two to four ends of one atom that are alike, by that atom and what they are."""
    ends = defaultdict(list)
    for atom in graph.GetAtoms():
        if atom.GetDegree() == 1 and graph.GetNumAtoms() > 2:
            (bond,) = atom.GetBonds()
            kind = (atom.GetAtomicNum(), atom.GetFormalCharge(), atom.GetIsotope(), int(bond.GetBondType()))
            ends[bond.GetOtherAtomIdx(atom.GetIdx()), kind].append(atom.GetIdx())
    return {key: atoms for key, atoms in ends.items() if 2 <= len(atoms) <= _LARGEST_GROUP}


def _orders(graph: Chem.Mol, ends: dict[tuple, list[int]]) -> list[Order]:
    """List the orders of the graph in which equal ends go with their atom and keep their own order."""
    carried = defaultdict(list)
    for (centre, kind), atoms in ends.items():
        carried[centre].append((kind, len(atoms)))
    core = Chem.RWMol(graph)
    labels: dict[tuple, int] = {}
    for centre, kinds in carried.items():
        atom = core.GetAtomWithIdx(centre)
        signature = (atom.GetIsotope(), *sorted(kinds))
        atom.SetIsotope(500 + labels.setdefault(signature, len(labels)))  # no real atom weighs that much
    dropped = {atom for atoms in ends.values() for atom in atoms}
    kept = [atom.GetIdx() for atom in graph.GetAtoms() if atom.GetIdx() not in dropped]
    _remove(core, dropped)
    found = []
    for match in core.GetSubstructMatches(core, uniquify=False, useChirality=False, maxMatches=MAX_ORDERS):
        order = list(range(graph.GetNumAtoms()))
        for place, image in enumerate(match):
            order[kept[place]] = kept[image]
        for (centre, kind), atoms in ends.items():
            for place, image in zip(atoms, ends[order[centre], kind], strict=True):
                order[place] = image
        found.append(tuple(order))
    identity = tuple(range(graph.GetNumAtoms()))
    return [identity, *(order for order in found if order != identity)]


def _flips_apart(orders: list[Order], taken: set[int]) -> tuple[list[Order], list[NDArray[np.int64]]]:
    """Split exchanges of two that touch disjoint atoms off from the orders, smallest first.

    What is left is one order of each coset of the group that they generate.
    """
    identity = orders[0]
    moved = {order: {i for i, image in enumerate(order) if i != image} for order in orders}
    flips: list[Order] = []
    for order in sorted(orders[1:], key=lambda order: len(moved[order])):
        if not (moved[order] & taken) and all(order[order[i]] == i for i in moved[order]):
            flips.append(order)
            taken = taken | moved[order]
    generated = [
        np.array(_composed(identity, chosen)) for chosen in itertools.product(*((identity, flip) for flip in flips))
    ]
    left: list[Order] = []
    seen: set[Order] = set()
    for order in orders:
        if order not in seen:
            left.append(order)
            seen.update(tuple(np.array(order)[product].tolist()) for product in generated)
    return left[:_MOST], [np.array([identity, flip]) for flip in flips]


def _composed(order: Order | NDArray[np.int64], groups: tuple | list) -> NDArray[np.int64]:
    """Read in the order of each group, which touch disjoint atoms, and then in `order`."""
    result = np.asarray(order)
    for group in groups:
        result = result[np.asarray(group)]
    return result


def _permutations(n: int, atoms: list[int]) -> NDArray[np.int64]:
    orders = np.tile(np.arange(n), (math.factorial(len(atoms)), 1))
    orders[:, atoms] = list(itertools.permutations(atoms))
    return orders


def _without_hydrogens(mol: Chem.Mol) -> Chem.RWMol:
    """Drop every hydrogen atom, whatever RemoveHs would keep, leaving the heavy atoms in their order."""
    graph = Chem.RWMol(mol)
    _remove(graph, {atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() == 1})
    return graph


def _remove(graph: Chem.RWMol, atoms: set[int]) -> None:
    graph.BeginBatchEdit()
    for atom in atoms:
        graph.RemoveAtom(atom)
    graph.CommitBatchEdit()
