"""The residual: an energy of geometry alone, nothing before training, bounded after it."""

import copy
import dataclasses

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.energy import energy_and_forces
from molebm.forcefield.geometry import cos_torsion
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import load_model, save_model
from molebm.models.couplings import CONFORMERS_AT_ONCE, ResidualEnergy, coupling_energy
from molebm.models.network import ParameterNetwork
from molebm.models.residual import ResidualNetwork, separated_pairs
from molebm.samplers.baoab import baoab
from molebm.samplers.masses import atomic_masses
from molebm.topology import concatenate
from molebm.training.force_matching import force_matching
from molebm.units import thermal_energy

SMILES = ["C[C@H](O)c1ccncc1C(=O)N", "O", "CC1CC1", "C[N+](C)(C)CC(=O)[O-]"]
SIZE = {"width": 12, "n_layers": 1, "n_densities": 5, "hidden": 6}


def molecule(smiles, n_conformers=2):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, n_conformers, randomSeed=1)
    return mol, topology_from_mol(mol), positions_from_mol(mol, torch.float64)


@pytest.fixture(scope="module")
def network(randomised):
    """A small network with large random weights."""
    return randomised(ResidualNetwork(**SIZE).double())


def energy_of(network, topology, x):
    return coupling_energy(topology, network(topology), x)


def equal(a, b):
    torch.testing.assert_close(a, b, rtol=1e-10, atol=1e-10)


def test_an_untrained_residual_is_exactly_zero_and_so_are_its_forces():
    _, topology, x = molecule(SMILES[0])
    found = energy_and_forces(lambda x: energy_of(ResidualNetwork(**SIZE).double(), topology, x), x)
    assert not found.energy.any()
    assert not found.forces.any()


def test_every_weight_learns_after_one_step():
    """Zero comes from the last layer alone: its gradient moves it, and then all others have one."""
    _, topology, x = molecule(SMILES[0])
    network = ResidualNetwork(**SIZE).double()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    for _ in range(2):
        optimiser.zero_grad()
        force_matching(lambda x: energy_of(network, topology, x), x, x).backward()
        optimiser.step()
    assert all(bool(weight.grad.any()) for weight in network.parameters())


def test_the_energy_does_not_change_when_the_molecule_is_moved_turned_or_mirrored(network):
    _, topology, x = molecule(SMILES[0])
    generator = torch.Generator().manual_seed(1)
    rotation = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64)).Q
    before = energy_of(network, topology, x)
    assert before.abs().min() > 1e-2
    for turn in (rotation, -rotation):
        equal(energy_of(network, topology, torch.einsum("de,enc->dnc", turn, x) + 7.0), before)


def test_the_energy_does_not_depend_on_the_order_of_atoms(network):
    mol, topology, x = molecule(SMILES[0])
    order = torch.randperm(mol.GetNumAtoms(), generator=torch.Generator().manual_seed(1))
    shuffled = topology_from_mol(Chem.RenumberAtoms(mol, order.tolist()))
    equal(energy_of(network, shuffled, x[:, order]), energy_of(network, topology, x))


def test_the_energy_does_not_depend_on_the_company(network):
    """Not on other molecules, though they lie on top of one another, nor on other conformers."""
    _, topologies, xs = zip(*(molecule(smiles) for smiles in SMILES), strict=True)
    together = energy_of(network, concatenate(topologies), torch.cat(xs, dim=1))
    for g, (topology, x) in enumerate(zip(topologies, xs, strict=True)):
        equal(together[g], energy_of(network, topology, x)[0])
        equal(together[g, :1], energy_of(network, topology, x[:, :, :1])[0])


def test_a_lost_conformer_does_not_touch_its_neighbours(network):
    _, topology, x = molecule(SMILES[0])
    lost = x.clone()
    lost[:, 0, 0] = torch.nan
    found, sound = (energy_and_forces(lambda x: energy_of(network, topology, x), each) for each in (lost, x))
    assert found.energy[0, 0].isnan()
    equal(found.energy[:, 1], sound.energy[:, 1])
    equal(found.forces[:, :, 1], sound.forces[:, :, 1])


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e3])
def test_the_energy_is_bounded_and_its_forces_finite_whatever_the_positions(network, scale):
    """Coincident atoms included."""
    _, topology, x = molecule(SMILES[0])
    found = energy_and_forces(lambda x: energy_of(network, topology, x), scale * x)
    assert found.energy.abs().max() <= network.bound * topology.n_atoms
    assert torch.isfinite(found.forces).all()


def test_two_derivatives_vanish_at_the_cutoff(network):
    """Just inside a third power of the gap is left, so the curvature falls with the gap to zero."""
    _, topology, _ = molecule("[H][H]")
    couplings = network(topology)

    def curvature(distance):
        r = torch.tensor(distance, dtype=torch.float64, requires_grad=True)
        x = torch.stack([r * 0, r, *(r * 0,) * 4]).view(3, 2, 1)
        (slope,) = torch.autograd.grad(coupling_energy(topology, couplings, x).sum(), r, create_graph=True)
        return torch.autograd.grad(slope, r)[0].item()

    inside, closer = (curvature(network.cutoff - gap) for gap in (1e-4, 1e-5))
    assert closer == pytest.approx(inside / 10, rel=1e-2)
    assert curvature(network.cutoff - 1e-12) == pytest.approx(0, abs=1e-6)


def test_the_far_apart_and_the_lonely_have_no_energy(network):
    _, topology, x = molecule("O")
    assert not energy_of(network, topology, 100 * x).any()


def test_first_and_second_derivatives_are_right(network):
    _, topology, x = molecule("OO", 1)
    x = x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: energy_of(network, topology, x), x)
    assert torch.autograd.gradgradcheck(lambda x: energy_of(network, topology, x), x)


def test_every_pair_is_listed_once_with_the_bonds_between():
    _, topology, _ = molecule("CC1CC1")
    pairs, separation = separated_pairs(topology)
    mol = Chem.AddHs(Chem.MolFromSmiles("CC1CC1"))
    bonds_apart = torch.from_numpy(Chem.GetDistanceMatrix(mol))[tuple(pairs)]
    assert pairs.shape[1] == topology.n_atoms * (topology.n_atoms - 1) // 2
    assert torch.equal(separation + 1, bonds_apart.clamp(max=4).long())


@pytest.fixture(scope="module")
def both(network):
    _, topology, x = molecule(SMILES[0])
    with torch.no_grad():
        parameters = ParameterNetwork(width=16, hidden=8, n_layers=1)(topology)
        couplings = copy.deepcopy(network).float()(topology)
    return ResidualEnergy(topology, MechanicalEnergy(topology, parameters), couplings), x.float()


def test_forces_of_the_sum_are_the_gradient_of_its_energy_also_in_turns(both):
    energy_fn, x = both
    x = x.repeat(1, 1, CONFORMERS_AT_ONCE)[:, :, : CONFORMERS_AT_ONCE + 3]
    found = energy_fn.energy_and_forces(x)
    expected = energy_and_forces(lambda x: energy_fn(x), x)
    torch.testing.assert_close(found.energy, expected.energy)
    torch.testing.assert_close(found.forces, expected.forces, rtol=1e-4, atol=1e-3)
    assert not found.energy.requires_grad


@pytest.mark.slow
def test_the_compiled_residual_is_the_same(both):
    energy_fn, x = both
    compiled = dataclasses.replace(energy_fn, compiled=True)
    for found, expected in zip(compiled.energy_and_forces(x), energy_fn.energy_and_forces(x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)


def test_a_sampler_runs_on_the_sum(both):
    energy_fn, x = both
    sampler = baoab(energy_fn, energy_fn.topology, masses=atomic_masses(energy_fn.topology), time_step=0.5)
    state, generator = sampler.init(x), torch.Generator().manual_seed(0)
    for _ in range(20):
        state, _ = sampler.step(state, thermal_energy(300.0), generator)
    assert torch.isfinite(state.energy).all()


def test_it_learns_a_coupling_of_two_torsions():
    """From forces: the product of the cosines in methanediol, for which the kernel has no term."""
    _, topology, x = molecule("OCO", 192)
    x = x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    first, second = (torch.tensor([chain]).T for chain in _hydroxyl_chains(topology))
    forces = energy_and_forces(lambda x: 4 * cos_torsion(x, first) * cos_torsion(x, second), x).forces
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ResidualNetwork(**SIZE).double()
    optimiser = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(100):
        loss = force_matching(lambda x: energy_of(network, topology, x), x[:, :, :128], forces[:, :, :128])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    unseen = force_matching(lambda x: energy_of(network, topology, x), x[:, :, 128:], forces[:, :, 128:])
    assert unseen < 0.2 * forces[:, :, 128:].square().mean()


def _hydroxyl_chains(topology):
    """H-O-C-O about either C-O bond."""
    z = topology.atomic_numbers
    wanted = ([1, 8, 6, 8], [8, 6, 8, 1])
    found = [chain for chain in topology.torsions.T.tolist() if z[chain].tolist() in wanted]
    return [chain if z[chain[0]] == 1 else chain[::-1] for chain in found]


def test_a_saved_model_keeps_its_residual(network, tmp_path):
    _, topology, x = molecule(SMILES[0])
    size = {"width": 16, "hidden": 8, "n_layers": 1}
    parameters, residual = ParameterNetwork(**size), copy.deepcopy(network).float()
    save_model(tmp_path / "model", parameters, {"network": size, "residual": SIZE}, residual)
    loaded, x = load_model(tmp_path / "model"), x.float()
    added = loaded.energy(topology)(x) - MechanicalEnergy(topology, loaded.parameters(topology))(x)
    torch.testing.assert_close(added, energy_of(residual, topology, x), rtol=1e-3, atol=1e-3)


def test_a_residual_is_not_saved_without_what_builds_it(network, tmp_path):
    size = {"width": 16, "hidden": 8, "n_layers": 1}
    with pytest.raises(ValueError, match="or neither"):
        save_model(tmp_path / "model", ParameterNetwork(**size), {"network": size}, network)
    assert not list(tmp_path.iterdir())
