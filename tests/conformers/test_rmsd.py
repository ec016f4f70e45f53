import math

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolAlign

from molebm.conformers.rmsd import best_rmsd, rmsd_matrix
from molebm.conformers.superposition import best_rotation, largest_overlap
from molebm.conformers.symmetry import LISTED, MAX_ORDERS, Symmetry, equivalent_orders, symmetry

SINGLE = 1e-4  # Å, more than single precision loses at distances of some tenths of an Å


def embedded(smiles: str, n: int = 6) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 1
    assert len(rdDistGeom.EmbedMultipleConfs(mol, n, parameters)) == n
    return mol


def frames(mol: Chem.Mol) -> np.ndarray:
    return np.stack([conformer.GetPositions() for conformer in mol.GetConformers()])


def rotated(positions: np.ndarray, angle: float) -> np.ndarray:
    c, s = np.cos(angle), np.sin(angle)
    return positions @ np.array([[c, s, 0], [-s, c, 0], [0, 0, 1]])


@pytest.mark.parametrize(
    "smiles",
    [
        "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O",  # isobutyl, phenylene, carboxyl
        "CC(C)(C)NCC(O)c1ccc(O)c(CO)c1",  # tert-butyl
        "CS(=O)(=O)NCCC(=O)[O-]",
        "NC(=[NH2+])NCCC[N+](=O)[O-]",
        "FC(F)(F)CCC(C)(C)C",  # 36 orders: matched by groups
        "CC(C)(C)CC(c1ccccc1)CS(=O)(=O)[O-]",  # 72 orders, among them the flip of a ring
        "OB(O)c1ccc(B(O)O)cc1",
        "C#CC#CC",  # on a line, where the eigenvalue is a double root
        "CCO",  # in a plane, as are all three heavy atoms
        "O",
    ],
)
def test_distance_is_that_of_rdkit(smiles):
    mol = embedded(smiles)
    heavy = Chem.RemoveHs(mol)
    expected = [rdMolAlign.GetBestRMS(Chem.Mol(heavy), Chem.Mol(heavy), i, 0) for i in range(1, 6)]
    exact = rmsd_matrix(frames(mol), symmetry(mol), precision=torch.float64)
    assert exact[0, 1:] == pytest.approx(expected, abs=1e-4)
    assert rmsd_matrix(frames(mol), symmetry(mol)) == pytest.approx(exact, abs=SINGLE)


def test_distance_to_a_reference_in_every_order_is_the_same():
    mol = embedded("CC(C)Cc1ccccc1")
    orders = equivalent_orders(mol)
    centred = frames(mol) - frames(mol)[:, orders[0]].mean(axis=1, keepdims=True)
    found = best_rmsd(centred[0][orders], centred[:, orders[0]])
    assert found == pytest.approx(rmsd_matrix(frames(mol), symmetry(mol), precision=torch.float64)[0], abs=1e-6)


def test_every_pair_is_compared_once_or_in_two_sets():
    mol = embedded("CC(C)Cc1ccccc1", n=7)
    among = rmsd_matrix(frames(mol), symmetry(mol))
    assert among.shape == (7, 7)
    assert (among == among.T).all() and (among.diagonal() == 0).all()
    between = rmsd_matrix(frames(mol)[:3], symmetry(mol), frames(mol)[2:])
    assert between == pytest.approx(among[:3, 2:], abs=3e-3)  # near zero single precision tells no more


def test_many_conformers_are_the_same_as_few():
    """Blocks of pairs leave none out."""
    rng = np.random.default_rng(0)
    mol = Chem.MolFromSmiles("CCCC")
    positions = rng.normal(size=(300, 4, 3))
    among = rmsd_matrix(positions, symmetry(mol))
    some = [0, 17, 150, 299]
    assert among[np.ix_(some, some)] == pytest.approx(rmsd_matrix(positions[some], symmetry(mol)), abs=SINGLE)


def test_distance_to_itself_is_zero_however_it_lies():
    mol = embedded("CCCCO", n=1)
    positions = np.concatenate([frames(mol), rotated(frames(mol), 0.7) + 3.0])
    assert rmsd_matrix(positions, symmetry(mol), precision=torch.float64)[0] == pytest.approx([0, 0], abs=1e-6)
    assert rmsd_matrix(positions, symmetry(mol))[0] == pytest.approx([0, 0], abs=3e-3)


def test_mirror_images_are_apart():
    mol = embedded("C[C@H](F)Cl", n=1)
    positions = np.concatenate([frames(mol), frames(mol) * np.array([1.0, 1.0, -1.0])])
    assert rmsd_matrix(positions, symmetry(mol))[0, 1] > 0.3  # Å


@pytest.mark.parametrize(
    "smiles", ["FC(F)(F)CCC(C)(C)C", "CC(C)(C)CC(c1ccccc1)CS(=O)(=O)[O-]", "FC(F)(F)c1ccc(C(F)(F)F)cc1"]
)
def test_groups_hold_all_orders(smiles):
    mol = Chem.MolFromSmiles(smiles)
    graph = Chem.MolFromSmiles(smiles.replace("S(=O)(=O)[O-]", "S(F)(F)F"))  # as its oxygens are: all alike
    every = set(graph.GetSubstructMatches(graph, uniquify=False, maxMatches=MAX_ORDERS))
    found = symmetry(mol)
    assert found.groups
    assert len(found.orders) * math.prod(len(group) for group in found.groups) == len(every) > LISTED
    assert {tuple(order) for order in found.all_orders().tolist()} == every


def test_matched_groups_are_as_near_as_the_nearest_of_all_orders():
    mol = embedded("CC(C)(C)CC(c1ccccc1)CS(=O)(=O)[O-]", n=20)
    found = symmetry(mol)
    every = Symmetry(found.heavy, found.all_orders(), ())
    by_groups, by_orders = (rmsd_matrix(frames(mol), one, precision=torch.float64) for one in (found, every))
    assert (by_groups >= by_orders - 1e-6).all()
    assert (by_groups - by_orders > 1e-6).mean() < 0.02  # of pairs, where matching ends beside the best
    assert (by_groups - by_orders).max() < 0.1  # Å


def test_symmetric_molecule_does_not_take_for_ever():
    five_tert_butyls = "CC(C)(C)c1cc(C(C)(C)C)cc(C(C)(C)C)c1C(C)(C)C(C)(C)C"
    found = symmetry(Chem.MolFromSmiles(five_tert_butyls))
    assert len(found.orders) + sum(len(group) for group in found.groups) < 50
    dendrimer = "C(C(C(F)(F)F)(C(F)(F)F)C(F)(F)F)(C(C(F)(F)F)(C(F)(F)F)C(F)(F)F)C(C(F)(F)F)(C(F)(F)F)C(F)(F)F"
    found = symmetry(Chem.MolFromSmiles(dendrimer))
    assert len(found.orders) + sum(len(group) for group in found.groups) < 200
    assert len(equivalent_orders(Chem.AddHs(Chem.MolFromSmiles(dendrimer)))) <= MAX_ORDERS


def test_first_order_is_that_of_the_molecule_and_names_its_heavy_atoms():
    mol = Chem.MolFromSmiles("[H]OC(C)(C)[H]", sanitize=True)
    orders = equivalent_orders(Chem.AddHs(mol))
    assert sorted(map(tuple, orders.tolist())) == [(0, 1, 2, 3), (0, 1, 3, 2)]
    assert orders[0].tolist() == [0, 1, 2, 3]


def test_molecule_of_hydrogens_alone_is_compared_by_them():
    assert equivalent_orders(Chem.AddHs(Chem.MolFromSmiles("[H][H]"))).tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize("handed", [1.0, -1.0])
def test_overlap_is_the_signed_sum_of_singular_values(handed):
    generator = torch.Generator().manual_seed(0)
    m = torch.randn((3, 3, 2000), generator=generator, dtype=torch.float64)
    leading = m.permute(2, 0, 1)
    leading = leading * (handed * torch.linalg.det(leading).sign())[:, None, None]
    values = torch.linalg.svdvals(leading)
    expected = values[:, 0] + values[:, 1] + handed * values[:, 2]
    found = largest_overlap(leading.permute(1, 2, 0).contiguous())
    # Near-equal s' and s'' of a mirror image make a double root, where convergence is slow.
    assert torch.quantile((found - expected).abs() / values[:, 0], 0.99) < 1e-5
    assert (found >= expected - 1e-6).all()


def test_rotation_is_where_the_overlap_is():
    generator = torch.Generator().manual_seed(1)
    m = torch.randn((3, 3, 50), generator=generator, dtype=torch.float64)
    rotation = best_rotation(m)
    rotation = rotation / rotation.norm(dim=0).norm(dim=0) * 3**0.5
    overlap = (rotation * m).sum((0, 1))
    u, s, v = torch.linalg.svd(m.permute(2, 0, 1))
    proper = s.clone()
    proper[:, 2] *= torch.linalg.det(u @ v)
    clear = (proper[:, 1] + proper[:, 2]) > 0.2 * s[:, 0]
    assert clear.sum() > 20
    assert overlap[clear].tolist() == pytest.approx(proper.sum(1)[clear].tolist(), rel=1e-4)
