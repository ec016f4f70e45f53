"""What of a structure differs from another: bonds, angles and torsions."""

from itertools import combinations

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from rigid_moves import angle_degrees, torsion_degrees

SMALL = 1e-8  # Å or degrees, far above what rounding leaves


def embedded(smiles, seed=7):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    assert rdDistGeom.EmbedMolecule(mol, randomSeed=seed) == 0
    return mol


def rng(seed=0):
    return np.random.default_rng(seed)


def coordinates(mol):
    return mol.GetConformer().GetPositions()


def distances(mol):
    x = coordinates(mol)
    return np.linalg.norm(x[:, None] - x[None], axis=2)


def changed_bonds(before, after):
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in before.GetBonds()]
    change = distances(after) - distances(before)
    return {frozenset(pair): change[pair] for pair in bonds if abs(change[pair]) > SMALL}


def changed_angles(before, after):
    angles = [
        (i.GetIdx(), j.GetIdx(), k.GetIdx()) for j in before.GetAtoms() for i, k in combinations(j.GetNeighbors(), 2)
    ]
    change = {a: angle_degrees(coordinates(after), *a) - angle_degrees(coordinates(before), *a) for a in angles}
    return {a: value for a, value in change.items() if abs(value) > 1e4 * SMALL}


def changed_torsions(before, after):
    """Return the bonds about which a torsion changes."""
    found = set()
    for bond in before.GetBonds():
        j, k = bond.GetBeginAtom(), bond.GetEndAtom()
        for i in j.GetNeighbors():
            for m in k.GetNeighbors():
                atoms = (i.GetIdx(), j.GetIdx(), k.GetIdx(), m.GetIdx())
                if len(set(atoms)) == 4:
                    change = torsion_degrees(coordinates(after), *atoms) - torsion_degrees(coordinates(before), *atoms)
                    if abs((change + 180) % 360 - 180) > 1e4 * SMALL:
                        found.add(frozenset(atoms[1:3]))
    return found


def only_turned_about(before, after, bond):
    assert not changed_bonds(before, after)
    assert not changed_angles(before, after)
    assert changed_torsions(before, after) == {frozenset(bond)}
