import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolAlign

from molebm.conformers.rmsd import MAX_PERMUTATIONS, best_rmsd, equivalent_orders


def embedded(smiles: str, n: int = 6) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 1
    assert len(rdDistGeom.EmbedMultipleConfs(mol, n, parameters)) == n
    return mol


def rmsd_to_first(mol: Chem.Mol) -> np.ndarray:
    orders = equivalent_orders(mol)
    positions = np.stack([conformer.GetPositions() for conformer in mol.GetConformers()])
    centred = positions - positions[:, orders[0]].mean(axis=1, keepdims=True)
    return best_rmsd(centred[0][orders], centred[:, orders[0]])


@pytest.mark.parametrize(
    "smiles",
    [
        "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",  # isobutyl, phenylene, carboxyl
        "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1",  # tert-butyl
        "CS(=O)(=O)NCCC(=O)[O-]",
        "NC(=[NH2+])NCCC[N+](=O)[O-]",
        "C#CC#CC",  # on a line, where the eigenvalue is a double root
        "O",
    ],
)
def test_distance_is_that_of_rdkit(smiles):
    mol = embedded(smiles)
    heavy = Chem.RemoveHs(mol)
    expected = [rdMolAlign.GetBestRMS(Chem.Mol(heavy), Chem.Mol(heavy), i, 0) for i in range(1, 6)]
    assert rmsd_to_first(mol)[1:] == pytest.approx(expected, abs=1e-4)


def test_distance_to_itself_is_zero_however_it_lies():
    mol = embedded("CCCCO", n=1)
    angle = 0.7
    rotation = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    moved = Chem.Conformer(mol.GetConformer())
    moved.SetPositions(moved.GetPositions() @ rotation.T + 3.0)
    mol.AddConformer(moved, assignId=True)
    assert rmsd_to_first(mol) == pytest.approx([0, 0], abs=1e-5)


def test_mirror_images_are_apart():
    mol = embedded("C[C@H](F)Cl", n=1)
    mirrored = Chem.Conformer(mol.GetConformer())
    mirrored.SetPositions(mirrored.GetPositions() * np.array([1.0, 1.0, -1.0]))
    mol.AddConformer(mirrored, assignId=True)
    assert rmsd_to_first(mol)[1] > 0.3  # Å


def test_molecule_of_hydrogens_alone_is_compared_by_them():
    assert equivalent_orders(Chem.AddHs(Chem.MolFromSmiles("[H][H]"))).tolist() == [[0, 1], [1, 0]]


def test_symmetric_molecule_does_not_take_for_ever():
    tri_tert_butyl = "CC(C)(C)c1cc(C(C)(C)C)cc(C(C)(C)C)c1C(C)(C)C(C)(C)C"
    assert len(equivalent_orders(Chem.AddHs(Chem.MolFromSmiles(tri_tert_butyl)))) <= MAX_PERMUTATIONS + 1
