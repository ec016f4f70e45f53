"""Figures that compare a learned energy with its reference, where their values are known."""

import dataclasses

import pytest
import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.forcefield.energy import energy_and_forces
from molebm.forcefield.geometry import distance
from molebm.models.checkpoint import LearnedModel
from molebm.models.network import ParameterNetwork
from molebm.topology import concatenate
from molebm.training.evaluation import (
    agreement,
    distinct,
    effective_sample_size,
    evaluate,
    evaluate_forces,
    force_errors,
    is_broken,
    rank_correlation,
    relax,
    superposed_rmsd,
)

STIFFNESS = 500.0  # kcal/mol/Å²


@pytest.fixture(scope="module")
def topology():
    """Two molecules of different size: water and methane."""
    return concatenate([topology_from_mol(Chem.AddHs(Chem.MolFromSmiles(smiles))) for smiles in ("O", "C")])


@pytest.fixture
def positions(topology, generator):
    """Four places for each atom, (3, 8, 4) Å."""
    return torch.randn(3, topology.n_atoms, 4, generator=generator, dtype=torch.float64)


@pytest.fixture
def generator():
    return torch.Generator().manual_seed(0)


def test_an_energy_scaled_and_shifted_correlates_fully_and_shows_the_scale(generator):
    reference = torch.randn(3, 50, generator=generator, dtype=torch.float64)
    found = agreement(1.25 * reference + torch.tensor([[5.0], [-7.0], [0.0]]), reference)
    torch.testing.assert_close(found.pearson, torch.ones_like(found.pearson))
    torch.testing.assert_close(found.slope, torch.full_like(found.slope, 1.25))
    torch.testing.assert_close(found.rmse, 0.25 * found.spread)


def test_forces_of_a_scaled_energy_err_by_the_scale(topology, generator):
    reference = torch.randn(3, topology.n_atoms, 5, generator=generator, dtype=torch.float64)
    found = force_errors(topology, 1.1 * reference, reference)
    torch.testing.assert_close(found.rmse, 0.1 * found.size)


def test_force_errors_are_those_of_components(topology):
    """One component wrong by 3 of the 9 of water, and nothing wrong in methane."""
    reference = torch.zeros(3, topology.n_atoms, 1)
    learned = reference.clone()
    learned[0, 1, 0] = 3.0
    torch.testing.assert_close(force_errors(topology, learned, reference).rmse, torch.tensor([1.0, 0.0]))


def test_a_model_agrees_with_its_own_energies_and_forces(references):
    model = LearnedModel(ParameterNetwork(width=8, hidden=8, n_layers=1).eval(), {})
    own = []
    for reference in references:
        labels = energy_and_forces(model.energy(reference.topology), reference.positions)
        own.append(dataclasses.replace(reference, energies=labels.energy[0], forces=labels.forces))
    for temperature in (None, 300.0):
        energies, forces = evaluate(model, own, temperature), evaluate_forces(model, own, temperature)
        assert (energies.rmse <= 1e-4 * energies.spread).all()
        assert (forces.rmse <= 1e-4 * forces.size).all()
        assert len(energies.rmse) == len(forces.rmse) == len(references)


def test_moving_and_turning_a_molecule_is_no_distance(topology, positions, generator):
    rotation, _ = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))
    rotation = rotation * torch.linalg.det(rotation)
    moved = torch.einsum("ij,jnc->inc", rotation, positions) + 3.0
    moved[:, topology.molecule == 1] -= 7.0
    found = superposed_rmsd(topology, positions, moved)
    assert found.shape == (2, 4)
    assert found.max() < 1e-6  # the root of a difference of rounding errors


def test_mirror_images_are_apart(topology, positions):
    mirrored = positions * torch.tensor([1.0, 1.0, -1.0])[:, None, None]
    assert (superposed_rmsd(topology, positions, mirrored)[1] > 0.1).all()


def test_each_end_of_a_stretched_bond_is_half_the_stretch_away():
    topology = topology_from_mol(Chem.MolFromSmiles("[H][H]"))
    bond = torch.tensor([[0.0, 1.0], [0.0, 0.0], [0.0, 0.0]])[:, :, None]
    assert superposed_rmsd(topology, bond, 1.4 * bond).item() == pytest.approx(0.2)


def test_atoms_without_weight_do_not_count(topology, positions, generator):
    heavy = (topology.atomic_numbers > 1).double()
    hydrogens = torch.randn(positions.shape, generator=generator, dtype=torch.float64) * (1 - heavy)[:, None]
    assert superposed_rmsd(topology, positions, positions + hydrogens, weights=heavy).max() < 1e-6


def test_relaxing_finds_what_the_learned_minimum_costs_and_how_far_it_is():
    """Two springs of different length: the excess is that of the longer in the shorter."""
    topology = topology_from_mol(Chem.MolFromSmiles("[H][H]"))

    def spring(length):
        return lambda x: STIFFNESS / 2 * (distance(x, *topology.bonds) - length).square()

    starts = torch.tensor([[0.0, 1.3], [0.0, 0.2], [0.0, 0.0]], dtype=torch.float64)[:, :, None]
    found = relax(spring(1.1), spring(1.0), topology, starts, force_tolerance=1e-6)
    assert found.converged.all()
    assert found.excess.item() == pytest.approx(STIFFNESS / 2 * 0.1**2, rel=1e-5)
    assert superposed_rmsd(topology, found.learned_positions, found.reference_positions).item() == pytest.approx(0.05)


def test_only_the_order_counts_in_a_rank_correlation():
    values = torch.tensor([3.0, -1.0, 8.0, 2.0])
    assert rank_correlation(values, values.exp()).item() == pytest.approx(1)
    assert rank_correlation(values, -values).item() == pytest.approx(-1)


def test_equal_values_share_their_rank():
    tied, apart = torch.tensor([1.0, 1.0, 2.0]), torch.tensor([1.0, 2.0, 3.0])
    assert rank_correlation(tied, apart).item() == pytest.approx(0.75**0.5)


def test_equal_energies_are_one_conformer():
    assert distinct(torch.tensor([2.0, 1.0, 1.02, 7.0, 1.98, 2.06]), 0.05).tolist() == [1, 4, 5, 3]


def test_equal_energies_leave_every_sample_and_one_heavy_weight_leaves_one(generator):
    assert effective_sample_size(torch.full((2, 7), 300.0)).tolist() == pytest.approx([1.0, 1.0])
    assert effective_sample_size(torch.tensor([0.0, -1000.0, -1000.0, -1000.0])).item() == pytest.approx(0.25)
    weights = torch.randn(100, generator=generator)
    assert effective_sample_size(weights + 50).item() == pytest.approx(effective_sample_size(weights).item(), rel=1e-4)


def test_half_the_samples_at_no_weight_halve_the_effective_size():
    assert effective_sample_size(torch.tensor([0.0, -1000.0] * 5)).item() == pytest.approx(0.5)


def test_a_stretched_bond_or_a_lost_atom_breaks_its_own_molecule_and_chain(topology):
    lengths = torch.ones(topology.bonds.shape[1])
    positions = torch.zeros(3, topology.n_atoms, 3)
    positions[0, 1, 1] = 1.6  # a hydrogen of water, second chain
    positions[1, 4, 2] = torch.nan  # a hydrogen of methane, third chain
    assert is_broken(topology, lengths, positions).tolist() == [[False, True, False], [False, False, True]]
    assert not is_broken(topology, lengths, positions, stretch=1.7)[0].any()
