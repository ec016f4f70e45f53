"""Molecules as pictures, in a frame of their own."""

import math

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import AllChem
from scipy.spatial.transform import Rotation

from molebm.chem.density_grid import CHANNELS, SHAPE, SPACING, WIDTH, density, grid, in_own_frame
from molebm.errors import MoleculeError

DRUG = "C[C@H](N)C(=O)Nc1ccc(S(=O)(=O)C)cc1Cl"


@pytest.fixture(scope="module")
def drug() -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(DRUG))
    AllChem.EmbedMolecule(mol, randomSeed=1)
    return mol


def moved(mol: Chem.Mol, matrix: np.ndarray, shift: float = 0.0) -> Chem.Mol:
    copy = Chem.Mol(mol)
    copy.GetConformer().SetPositions(np.ascontiguousarray(mol.GetConformer().GetPositions() @ matrix.T + shift))
    return copy


def test_a_turned_and_moved_molecule_has_the_same_picture(drug):
    turn = Rotation.from_rotvec([0.3, -2.0, 1.1]).as_matrix()
    first, second = grid()(drug)["x"].float(), grid()(moved(drug, turn, 7.0))["x"].float()
    assert torch.allclose(first, second, atol=2e-3)  # of half precision


def test_the_mirror_image_has_another_picture(drug):
    mirrored = moved(drug, np.diag([1.0, 1.0, -1.0]))
    assert (grid()(drug)["x"].float() - grid()(mirrored)["x"].float()).abs().max() > 0.1


def test_the_order_of_atoms_and_the_hydrogens_do_not_matter(drug):
    order = np.random.default_rng(0).permutation(drug.GetNumAtoms()).tolist()
    other = Chem.RemoveAllHs(Chem.RenumberAtoms(drug, order))
    assert torch.allclose(grid()(drug)["x"].float(), grid()(other)["x"].float(), atol=2e-3)


def test_a_frame_has_its_axes_in_order_and_is_right_handed(drug):
    x = in_own_frame(drug.GetConformer().GetPositions())
    inertia = x.T @ x
    assert np.allclose(inertia, np.diag(np.diag(inertia)), atol=1e-8)
    assert list(np.argsort(-np.diag(inertia))) == [0, 1, 2]
    given = drug.GetConformer().GetPositions()
    given = given - given.mean(axis=0)
    assert np.linalg.det(np.linalg.lstsq(given, x, rcond=None)[0]) == pytest.approx(1)


def test_an_atom_is_a_gaussian_in_the_channel_of_its_element():
    """Its sum over the grid is the volume of the Gaussian over that of a voxel."""
    found = density(np.zeros((1, 3)), np.array([2]))
    assert found.shape == (len(CHANNELS), *SHAPE)
    assert found[[0, 1, 3, 4]].abs().sum() == 0
    volume = (2 * math.pi * WIDTH**2) ** 1.5 / SPACING**3
    assert found[2].sum().item() == pytest.approx(volume, rel=0.01)


def test_atoms_add_up():
    x = np.array([[0.0, 0.5, 0.1], [2.0, -1.0, 0.3]])
    both = density(x, np.array([0, 1]))
    assert torch.allclose(both, density(x[:1], np.array([0])) + density(x[1:], np.array([1])))


def test_the_displaced_picture_is_of_other_coordinates_and_always_the_same(drug):
    first, second = grid(shifted=True)(drug), grid(shifted=True)(drug)
    assert torch.equal(first["shifted"], second["shifted"])
    assert not torch.equal(first["shifted"], first["x"])


@pytest.mark.parametrize(
    "smiles, why", [("CC[B](C)C", "no channel for B"), ("CCO", "one structure in three dimensions")]
)
def test_what_has_no_picture_says_why(smiles, why):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if "B" in smiles:
        AllChem.EmbedMolecule(mol, randomSeed=1)
    with pytest.raises(MoleculeError, match=why):
        grid()(mol)
