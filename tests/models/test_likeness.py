"""Atoms that a graph network cannot tell apart are one kind, and no others."""

import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.models.likeness import atom_kinds, kinds
from molebm.models.network import GraphNetwork
from molebm.topology import concatenate

SMILES = ("CCO", "CCCO", "c1ccccc1C(C)C", "C[C@H](F)Cl", "CC#N")


def topology_of(smiles):
    return topology_from_mol(Chem.AddHs(Chem.MolFromSmiles(smiles)))


def test_each_round_of_messages_sees_one_bond_further():
    """Hexane: its end carbons differ at once, by their hydrogens, and the middle ones when the ends are heard of."""
    topology = topology_of("CCCCCC")
    carbon = topology.atomic_numbers == 6
    counts = [len(set(found.of[carbon].tolist())) for found in atom_kinds(topology, 3)]
    assert counts == [2, 3, 3, 3]
    assert [len(set(found.of.tolist())) for found in atom_kinds(topology, 0)] == [3]


def test_a_kind_has_its_first_thing_as_example():
    found = kinds([torch.tensor([5, 3, 5, 3, 3]), torch.tensor([0, 0, 0, 0, 1])])
    assert sorted(found.example.tolist()) == [0, 1, 4]
    assert torch.equal(found.example[found.of], torch.tensor([0, 1, 0, 1, 4]))
    assert kinds([torch.zeros(0, dtype=torch.int64)]).example.numel() == 0


def test_encodings_are_those_of_messages_between_all_atoms(randomised):
    """Each atom is computed as if it were the only one of its kind."""
    network = randomised(GraphNetwork(16, 3, gated=True).double())
    topology = concatenate([topology_of(smiles) for smiles in SMILES])
    atoms, bonds = network.encode(topology)
    everyone = torch.arange(topology.n_atoms)
    edges = torch.cat([topology.bonds, topology.bonds.flip(0)], dim=1)
    along = torch.arange(topology.bonds.shape[1]).repeat(2)
    x = network.atom_embedding(topology.atom_features)
    for layer in network.layers:
        x = layer(x, everyone, edges, bonds, along)
    torch.testing.assert_close(atoms, network.norm(x), rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(bonds, network.bond_embedding(topology.bond_features), rtol=0, atol=0)


def test_gradients_reach_the_weights_through_kinds(randomised):
    network = randomised(GraphNetwork(8, 2).double()).requires_grad_()
    atoms, _ = network.encode(topology_of("CCO"))
    (atoms * torch.arange(atoms.numel()).reshape(atoms.shape)).sum().backward()
    assert all(weight.grad.abs().sum() > 0 for weight in network.layers.parameters())
