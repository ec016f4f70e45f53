"""A molecule as a graph of PyG: what the topology says, and batches that shift every index list."""

import pytest
import torch
from torch_geometric.data import Batch

import molebm
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import RequestError
from molebm.interop.pyg_data import data_from_topology, topologies_to_pyg
from molebm.topology import concatenate


def test_a_graph_has_the_atoms_bonds_and_coordinates_of_the_molecule(embedded):
    mol = embedded("CC(=O)NC")
    data = molebm.to_pyg(mol)
    data.validate()
    assert data.num_nodes == 12
    assert data.num_edges == 2 * mol.GetNumBonds()
    assert data.is_undirected()
    assert data.z.tolist() == [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    torch.testing.assert_close(data.pos, positions_from_mol(mol)[:, :, 0].T)


def test_a_batch_is_the_concatenated_topology(embedded):
    parts = [topology_from_mol(embedded(smiles)) for smiles in ("CC(=O)NC", "CCO")]
    whole = concatenate(parts)
    graphs = topologies_to_pyg(whole)
    batch = Batch.from_data_list(graphs)
    assert torch.equal(batch.batch, whole.molecule)
    for ours, theirs in [("angles", "angle_index"), ("torsions", "torsion_index"), ("pairs", "pair_index")]:
        assert torch.equal(getattr(whole, ours), batch[theirs])
    assert torch.equal(whole.atom_features, batch.x.T)
    first = graphs[0].num_edges // 2
    assert torch.equal(batch.edge_index[:, :first], whole.bonds[:, :first])


def test_several_molecules_or_conformers_are_refused(embedded):
    mol = embedded("CCO", n_conformers=2)
    topology = topology_from_mol(mol)
    with pytest.raises(RequestError, match="one by one"):
        data_from_topology(concatenate([topology, topology]))
    with pytest.raises(RequestError, match="one conformer"):
        data_from_topology(topology, positions_from_mol(mol))
    assert molebm.to_pyg(mol).pos.shape == (9, 3)
