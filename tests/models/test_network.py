"""The graph network: whatever its weights, it gives a sensible and symmetric force field."""

import dataclasses
import math

import pytest
import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.forcefield import kernel
from molebm.models.network import ParameterNetwork, charges
from molebm.topology import concatenate

SMILES = [
    "C",
    "CCO",
    "C[C@H]([NH3+])C(=O)[O-]",
    "F/C=C/F",
    "N#Cc1ccccc1",
    "CS(=O)(=O)N",
    "C[Si](C)(C)OP(=O)(O)O",
    "IC=C(Br)Cl",
]


def topology_of(smiles):
    return topology_from_mol(Chem.AddHs(Chem.MolFromSmiles(smiles)))


@pytest.fixture(scope="module", params=[False, True], ids=["plain", "gated"])
def network(request, randomised):
    """A small network with large random weights."""
    return randomised(ParameterNetwork(width=16, hidden=16, n_layers=2, gated=request.param).double())


def energy_of(network, topology, positions):
    return kernel.energy(topology, network(topology), positions)


def test_parameters_are_finite_positive_and_bounded(network):
    p = network(concatenate([topology_of(smiles) for smiles in SMILES]))
    for field in dataclasses.fields(p):
        assert torch.isfinite(getattr(p, field.name)).all(), field.name
    for name in ("bond_k", "bond_length", "angle_k", "pair_radius", "pair_depth"):
        assert (getattr(p, name) > 0).all(), name
    assert ((p.angle_theta > 0) & (p.angle_theta <= math.pi)).all()


def test_charges_sum_to_the_formal_charge(network):
    topology = concatenate([topology_of(smiles) for smiles in [*SMILES, "C[N+](C)(C)C", "CC(=O)[O-]"]])
    total = topology.sum_atoms(network(topology).charge)
    expected = topology.sum_atoms(topology.formal_charges).double()
    torch.testing.assert_close(total, expected, atol=1e-12, rtol=0)


def test_a_charge_increment_moves_charge_along_its_bond():
    topology = topology_of("[H]Cl")
    assert charges(topology, torch.tensor([0.2])).tolist() == pytest.approx([0.2, -0.2])


def test_the_energy_does_not_depend_on_the_order_of_atoms(network):
    mol = Chem.AddHs(Chem.MolFromSmiles("C[C@H](O)c1ccncc1C(=O)N"))
    generator = torch.Generator().manual_seed(1)
    order = torch.randperm(mol.GetNumAtoms(), generator=generator)
    shuffled = Chem.RenumberAtoms(mol, order.tolist())
    positions = 2 * torch.randn(3, mol.GetNumAtoms(), 3, generator=generator, dtype=torch.float64)
    before = energy_of(network, topology_from_mol(mol), positions)
    after = energy_of(network, topology_from_mol(shuffled), positions[:, order])
    torch.testing.assert_close(after, before, rtol=1e-10, atol=0)


def test_the_energy_does_not_depend_on_the_company(network):
    topologies = [topology_of(smiles) for smiles in SMILES]
    joined = concatenate(topologies)
    positions = 2 * torch.randn(3, joined.n_atoms, 2, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    together = energy_of(network, joined, positions)
    pieces = positions.split([t.n_atoms for t in topologies], dim=1)
    alone = torch.cat([energy_of(network, t, x) for t, x in zip(topologies, pieces, strict=True)])
    torch.testing.assert_close(together, alone, rtol=1e-10, atol=0)


def test_equivalent_hydrogens_get_equal_parameters(network):
    p = network(topology_of("C"))
    for name in ("bond_k", "bond_length", "angle_k", "angle_theta"):
        assert getattr(p, name).std() < 1e-12
    assert (p.stretch_bend_k[0] - p.stretch_bend_k[1]).abs().max() < 1e-12


def test_an_untrained_network_already_gives_a_molecule_that_holds_together():
    p = ParameterNetwork(width=16, hidden=16, n_layers=1)(topology_of("CCO"))
    lengths = p.bond_length.detach()
    assert ((lengths > 0.9) & (lengths < 1.6)).all()
    assert (p.bond_k > 500).all()
