"""Molecules in space: relaxed, moved, broken."""

from collections.abc import Callable

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem
from rdkit.Geometry import Point3D


def embedded(smiles: str, *, relaxed: bool = True, seed: int = 7) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(mol, randomSeed=seed) != 0:
        raise ValueError(smiles)
    if relaxed:
        AllChem.MMFFOptimizeMolecule(mol, maxIters=5000)
    return mol


def moved(mol: Chem.Mol, change: Callable[[np.ndarray], np.ndarray]) -> Chem.Mol:
    """Copy a molecule with its coordinates (N, 3) changed, its stereo tags as they were."""
    copy = Chem.Mol(mol)
    for atom, place in enumerate(change(mol.GetConformer().GetPositions())):
        copy.GetConformer().SetAtomPosition(atom, Point3D(*place))
    return copy


def mirrored(mol: Chem.Mol) -> Chem.Mol:
    return moved(mol, lambda x: x * [-1, 1, 1])


def stretched(mol: Chem.Mol, first: int, second: int, by: float) -> Chem.Mol:
    """Move the half of the molecule that hangs on `second` away from `first`."""
    cut = Chem.FragmentOnBonds(mol, [mol.GetBondBetweenAtoms(first, second).GetIdx()], addDummies=False)
    half = next(list(atoms) for atoms in Chem.GetMolFrags(cut) if second in atoms)

    def change(x: np.ndarray) -> np.ndarray:
        along = x[second] - x[first]
        x[half] += by * along / np.linalg.norm(along)
        return x

    return moved(mol, change)


@pytest.fixture(scope="session")
def alanine() -> Chem.Mol:
    """N-acetyl-L-alanine methylamide, relaxed."""
    return embedded("CC(=O)N[C@@H](C)C(=O)NC")
