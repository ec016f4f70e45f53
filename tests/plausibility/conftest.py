"""Molecules in space: relaxed, moved, broken."""

from collections.abc import Callable

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem, rdMolTransforms
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


def bent(mol: Chem.Mol, atoms: tuple[int, int, int], degrees: float) -> Chem.Mol:
    """Set an angle, and move with its last atom what hangs on that."""
    copy = Chem.Mol(mol)
    rdMolTransforms.SetAngleDeg(copy.GetConformer(), *atoms, degrees)
    return copy


def turned(mol: Chem.Mol, torsions: dict[tuple[int, int, int, int], float]) -> Chem.Mol:
    """Set torsions, in degrees."""
    copy = Chem.Mol(mol)
    for atoms, degrees in torsions.items():
        rdMolTransforms.SetDihedralDeg(copy.GetConformer(), *atoms, degrees)
    return copy


def butane(degrees: float) -> Chem.Mol:
    return turned(embedded("CCCC"), {(0, 1, 2, 3): degrees})


def with_hydrogens_at(mol: Chem.Mol, length: float) -> Chem.Mol:
    """Make all bonds to hydrogen equally long, in Å."""
    bonds = [(bond.GetBeginAtom(), bond.GetEndAtom()) for bond in mol.GetBonds()]
    pairs = [(a, b) if b.GetAtomicNum() == 1 else (b, a) for a, b in bonds if 1 in (a.GetAtomicNum(), b.GetAtomicNum())]
    bearers, hydrogens = ([atom.GetIdx() for atom in atoms] for atoms in zip(*pairs, strict=True))

    def change(x: np.ndarray) -> np.ndarray:
        arms = x[hydrogens] - x[bearers]
        x[hydrogens] = x[bearers] + length * arms / np.linalg.norm(arms, axis=1, keepdims=True)
        return x

    return moved(mol, change)


def without(mol: Chem.Mol, atom: int) -> Chem.Mol:
    """Leave an atom out, as a file may."""
    editable = Chem.RWMol(mol)
    editable.RemoveAtom(atom)
    Chem.SanitizeMol(editable)
    return editable.GetMol()


def five_valent() -> Chem.Mol:
    """Ethane with a fluorine too many, as it is before it is sanitised."""
    ethane = Chem.RWMol(embedded("CC"))
    ethane.AddBond(0, ethane.AddAtom(Chem.Atom("F")), Chem.BondType.SINGLE)
    ethane.GetConformer().SetAtomPosition(8, Point3D(-2, 0, 1))
    return ethane.GetMol()


@pytest.fixture(scope="session")
def alanine() -> Chem.Mol:
    """N-acetyl-L-alanine methylamide, relaxed."""
    return embedded("CC(=O)N[C@@H](C)C(=O)NC")
