"""What does not move: joining molecules and taking them apart."""

import pytest
import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.topology import concatenate, separate

SMILES = ["C", "CCO", "C[C@H](N)C(=O)O", "F/C=C/F", "N#Cc1ccccc1"]


@pytest.fixture(scope="module")
def topologies():
    return [topology_from_mol(Chem.AddHs(Chem.MolFromSmiles(smiles))) for smiles in SMILES]


def test_molecules_come_apart_as_they_were_joined(topologies):
    for before, after in zip(topologies, separate(concatenate(topologies)), strict=True):
        assert before.tensors().keys() == after.tensors().keys()
        for name, tensor in before.tensors().items():
            assert torch.equal(tensor, after.tensors()[name]), name


def test_a_sum_over_atoms_stays_within_the_molecule(topologies):
    joined = concatenate(topologies)
    assert joined.sum_atoms(torch.ones(joined.n_atoms)).tolist() == [5, 9, 13, 6, 13]
    assert joined.atoms_per_molecule().tolist() == [5, 9, 13, 6, 13]


def test_every_term_of_a_joined_topology_lies_within_one_molecule(topologies):
    joined = concatenate(topologies)
    for terms in ("bonds", "angles", "torsions", "impropers", "pairs", "stereo_centres", "stereo_bonds"):
        molecules = joined.molecule[getattr(joined, terms)]
        assert (molecules == molecules[:1]).all(), terms
