import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.conformers.validity import follows_stereo, is_connected
from molebm.forcefield.geometry import distance
from molebm.topology import concatenate


@pytest.fixture
def two():
    """Two molecules with declared stereo, two conformers of each."""
    mols = [Chem.AddHs(Chem.MolFromSmiles(smiles)) for smiles in ("C[C@H](F)Cl", "C/C=C/C")]
    for mol in mols:
        rdDistGeom.EmbedMultipleConfs(mol, 2, randomSeed=1)
    return concatenate([topology_from_mol(mol) for mol in mols]), torch.cat(
        [positions_from_mol(mol) for mol in mols], 1
    )


def check(two, positions, energy=None):
    topology, starts = two
    lengths = distance(starts, *topology.bonds)[:, 0]
    connected = is_connected(topology, lengths, positions, torch.zeros(2, 2) if energy is None else energy)
    return connected.tolist(), follows_stereo(topology, positions).tolist()


ALL = [[True, True], [True, True]]


def test_starts_are_valid(two):
    assert check(two, two[1]) == (ALL, ALL)


def test_conformer_that_is_not_finite_is_not_valid(two):
    energy = torch.tensor([[0.0, torch.inf], [torch.nan, 0.0]])
    assert check(two, two[1], energy)[0] == [[True, False], [False, True]]
    positions = two[1].clone()
    positions[:, 0, 1] = torch.nan
    connected, _ = check(two, positions)
    assert connected == [[True, False], [True, True]]


def test_bond_that_broke_is_seen_in_its_conformer_alone(two):
    topology, starts = two
    positions = starts.clone()
    first = int(topology.atoms_per_molecule()[0])  # a methyl carbon of butene
    positions[:, first, 1] += 3.0
    assert check(two, positions)[0] == [[True, True], [True, False]]


def test_mirror_image_has_other_centres_and_the_same_double_bonds(two):
    mirrored = two[1] * torch.tensor([1.0, 1.0, -1.0])[:, None, None]
    assert check(two, mirrored) == (ALL, [[False, False], [True, True]])


def test_double_bond_that_turned_is_seen(two):
    topology, starts = two
    atoms = topology.stereo_bonds[:, 0]
    positions = starts.clone()
    axis = positions[:, atoms[2]] - positions[:, atoms[1]]  # (3, C)
    arm = positions[:, atoms[3]] - positions[:, atoms[2]]
    along = (arm * axis).sum(0) / axis.square().sum(0) * axis
    positions[:, atoms[3]] = positions[:, atoms[2]] + 2 * along - arm  # half a turn about the double bond
    assert check(two, positions)[1] == [[True, True], [False, False]]
