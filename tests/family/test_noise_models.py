"""Energies of noised conformers: what is exact, what they may not depend on, and that scores are their gradients."""

import copy
import math

import pytest
import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.family.blurred_distance import log_blurred_shell, mean_pull
from molebm.family.diffusion_recovery import DiffusionModel, descend, levels, recovered, recovery_loss
from molebm.family.noise_network import NoiseNetwork, pairs_and_separations
from molebm.family.noise_terms import NoiseTerms, floor_energy, hats, reduced_energy, reduced_forces
from molebm.family.score import ScoreModel, denoising_loss
from molebm.forcefield.energy import energy_and_forces
from molebm.topology import concatenate

DRAWN = "C[C@H](O)/C=C/C(=O)N"
WIDTHS = torch.tensor([0.05, 0.4, 3.0], dtype=torch.float64)  # Å


def topology_of(smiles):
    return topology_from_mol(Chem.AddHs(Chem.MolFromSmiles(smiles)))


@pytest.fixture(scope="module")
def network():
    """Large random weights, so that nothing holds by being near zero."""
    generator = torch.Generator().manual_seed(0)
    made = NoiseNetwork(width=16, n_layers=2, hidden=16).double()
    with torch.no_grad():
        for weight in made.parameters():
            weight.normal_(std=0.3, generator=generator)
    return made.requires_grad_(False)


@pytest.fixture
def positions():
    n_atoms = topology_of(DRAWN).n_atoms
    return 2 * torch.randn(3, n_atoms, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def energies(network, topology, positions):
    return reduced_energy(topology, network(topology).at(WIDTHS), positions)


def test_blurred_shell_is_the_density_of_noised_directions():
    """The mean of Gaussians whose centres lie evenly over a sphere; by Archimedes cos θ is uniform."""
    cosine = (torch.arange(200_000, dtype=torch.float64) + 0.5) / 100_000 - 1
    for distance, radius, variance in ((1.0, 1.5, 0.2), (0.3, 2.0, 4.0), (1.52, 1.5, 0.002)):
        d, r, v = (torch.tensor(value, dtype=torch.float64) for value in (distance, radius, variance))
        apart = d**2 + r**2 - 2 * d * r * cosine
        exact = (torch.exp(-apart / (2 * v)).mean() / (2 * math.pi * v) ** 1.5).log()
        assert log_blurred_shell(d, r, v).item() == pytest.approx(exact.item(), abs=1e-3)


def test_mean_pull_is_the_derivative_near_and_far():
    distance = torch.tensor([1e-2, 0.2, 1.5, 9.0], dtype=torch.float64, requires_grad=True)
    for variance in (1e-3, 0.3, 70.0):
        v, radius = torch.tensor(variance, dtype=torch.float64), torch.tensor(1.4, dtype=torch.float64)
        (slope,) = torch.autograd.grad(log_blurred_shell(distance, radius, v).sum(), distance)
        torch.testing.assert_close(mean_pull(distance, radius, v), slope, rtol=1e-3, atol=1e-4)


def test_score_is_the_gradient_of_the_energy(network, positions):
    topology = topology_of(DRAWN)
    assert topology.stereo_signs.numel() and topology.stereo_cis.numel()
    level = network(topology).at(WIDTHS)
    forces = energy_and_forces(lambda x: reduced_energy(topology, level, x), positions).forces
    torch.testing.assert_close(reduced_forces(topology, level, positions), forces, rtol=1e-6, atol=1e-6)


def test_score_has_no_curl(network, positions):
    """The Jacobian of a gradient is symmetric."""
    topology = topology_of(DRAWN)
    level = network(topology).at(WIDTHS[1:2])
    x = positions[:, :, :1]
    jacobian = torch.autograd.functional.jacobian(
        lambda y: energy_and_forces(
            lambda z: reduced_energy(topology, level, z), y, create_graph=True
        ).forces.flatten(),
        x,
    ).flatten(1)
    torch.testing.assert_close(jacobian, jacobian.T, rtol=1e-8, atol=1e-8)


def test_energy_follows_neither_turns_nor_shifts_but_tells_a_mirror_image(network, positions):
    topology = topology_of(DRAWN)
    before = energies(network, topology, positions)
    turn, _ = torch.linalg.qr(torch.randn(3, 3, generator=torch.Generator().manual_seed(2), dtype=torch.float64))
    turn = turn * torch.linalg.det(turn).sign()
    moved = torch.einsum("ij,jnc->inc", turn, positions) + 3.0
    torch.testing.assert_close(energies(network, topology, moved), before)
    assert not torch.allclose(energies(network, topology, -positions), before)


def test_energy_does_not_depend_on_the_order_of_atoms(network, positions):
    mol = Chem.AddHs(Chem.MolFromSmiles(DRAWN))
    order = torch.randperm(mol.GetNumAtoms(), generator=torch.Generator().manual_seed(3)).tolist()
    shuffled = topology_from_mol(Chem.RenumberAtoms(mol, order))
    torch.testing.assert_close(
        energies(network, shuffled, positions[:, order]), energies(network, topology_of(DRAWN), positions)
    )


def test_energy_does_not_depend_on_the_company(network, positions):
    other = topology_of("OCC")
    both = concatenate([other, topology_of(DRAWN)])
    joined = torch.cat([positions[:, : other.n_atoms] + 1, positions], dim=1)
    found = energies(network, both, joined)
    torch.testing.assert_close(found[1:], energies(network, topology_of(DRAWN), positions))
    torch.testing.assert_close(found[:1], energies(network, other, joined[:, : other.n_atoms]))


def test_separations_are_shortest_ways():
    for smiles in ("C1CC1CCCCCCCC", "CO"):
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        (i, j), apart = pairs_and_separations(topology_from_mol(mol))
        exact = torch.from_numpy(Chem.GetDistanceMatrix(mol)).clamp(max=8).long()
        assert len(i) == mol.GetNumAtoms() * (mol.GetNumAtoms() - 1) // 2
        assert torch.equal(apart, exact[i, j])


def test_terms_between_knots_are_interpolated():
    knots = torch.tensor([-1.0, 0.0, 2.0])
    found = hats(torch.tensor([-3.0, -0.25, 0.0, 1.0, 5.0]), knots)
    torch.testing.assert_close(found.sum(0), torch.ones(5))
    torch.testing.assert_close(found @ torch.eye(5), found)
    torch.testing.assert_close(knots @ found, torch.tensor([-1.0, -0.25, 0.0, 1.0, 2.0]))


def diatomic(radius, spread, knots=(-3.0, 2.0)):
    """Terms of two atoms at one distance: the exact energy of a blurred diatomic molecule."""
    n = len(knots)
    return NoiseTerms(
        pairs=torch.tensor([[0], [1]]),
        radius=torch.full((1, 1, n), radius),
        spread=torch.full((1, 1, n), spread**2),
        share=torch.zeros(1, 1, n),
        weight=torch.ones(1, n),
        centre=torch.zeros(2, 0, n),
        double_bond=torch.zeros(2, 0, n),
        knots=torch.tensor(knots),
    )


def test_diatomic_energy_is_the_best_that_denoising_can_find():
    """Its score is that of the blurred molecule, so the loss grows whichever way the distance is changed."""
    topology, generator = topology_of("FCl"), torch.Generator().manual_seed(0)
    directions = torch.nn.functional.normalize(torch.randn(3, 4000, generator=generator), dim=0)
    x = torch.stack([torch.zeros_like(directions), 1.6 * directions], dim=1)
    for sigma in (0.1, 0.6, 2.0):
        sigmas = torch.full((4000,), sigma)
        losses = [
            denoising_loss(topology, diatomic(radius, 1e-3), x, sigmas, torch.Generator().manual_seed(1)).item()
            for radius in (1.2, 1.6, 2.0)
        ]
        assert losses[1] < min(losses[0], losses[2])


def test_floor_is_the_energy_of_a_diatomic_at_rest():
    topology = topology_of("FCl")
    level = diatomic(1.6, 0.05).at(torch.tensor([0.05]))
    x = torch.zeros(3, 2, 3)
    x[0, 1] = torch.tensor([1.5, 1.6, 1.7])
    above = (reduced_energy(topology, level, x) - floor_energy(topology, level))[0]
    assert above[1].item() == pytest.approx(0, abs=1e-5)
    assert above[0].item() == pytest.approx(above[2].item(), rel=0.2)
    assert above[0] > 0.4


def gaussian_forces(variance):
    return lambda x: -x / variance


def test_recovery_samples_the_conditional_of_a_gaussian():
    """Of data N(0, s²) at a level, given the next: mean and variance are those of Bayes' theorem."""
    generator = torch.Generator().manual_seed(0)
    here, above, variance = torch.tensor(0.4), torch.tensor(0.7), 0.5**2 + 0.4**2
    noised = torch.full((3, 1, 40_000), 1.3)
    found = recovered(gaussian_forces(variance), noised, here, above, n_steps=60, step=0.2, generator=generator)
    between = (above**2 - here**2).item()
    exact = variance * between / (variance + between)
    alpha = 0.2 * here.item() ** 2 * between / above.item() ** 2
    assert found.mean().item() == pytest.approx(1.3 * variance / (variance + between), abs=0.01)
    assert found.var().item() == pytest.approx(exact / (1 - alpha / (2 * exact)), rel=0.02)


def test_descent_from_noise_has_the_variance_that_its_steps_make():
    """Every rung is linear on Gaussian data, so that the variance is known; with small steps it is that of the data."""
    generator = torch.Generator().manual_seed(0)
    ladder, n_steps, step = levels(0.05, 4.0, 24), 40, 0.1
    start = (0.25 + 16) ** 0.5 * torch.randn(3, 1, 6_000, generator=generator)
    *_, found = descend(
        lambda sigma: gaussian_forces(0.25 + sigma**2), start, ladder, n_steps=n_steps, generator=generator, step=step
    )
    variance = 0.25 + 16
    for here, above in zip(ladder[:-1].flip(0).tolist(), ladder[1:].flip(0).tolist(), strict=True):
        between, blurred = above**2 - here**2, 0.25 + here**2
        alpha = step * here**2 * between / above**2
        kept = (1 - alpha * (1 / blurred + 1 / between)) ** n_steps
        mean = blurred / (blurred + between)
        steps = 2 * alpha * (1 - kept**2) / (1 - kept ** (2 / n_steps))
        variance = (mean + (1 - mean) * kept) ** 2 * variance + steps
    assert found.var().item() == pytest.approx(variance, rel=4 * (2 / found.numel()) ** 0.5)
    assert variance == pytest.approx(0.25 + 0.05**2, rel=0.15)


def test_recovery_likelihood_has_its_best_at_the_truth():
    """The gradient by the distance of a diatomic is nought where the model is the data, and points there elsewhere."""
    topology, generator = topology_of("FCl"), torch.Generator().manual_seed(0)
    here, above = torch.full((20_000,), 0.2), torch.full((20_000,), 0.35)
    directions = torch.nn.functional.normalize(torch.randn(3, 20_000, generator=generator), dim=0)
    x = torch.stack([torch.zeros_like(directions), 1.6 * directions], dim=1)
    x = x + here * torch.randn(x.shape, generator=generator)
    noised = x + (above**2 - here**2).sqrt() * torch.randn(x.shape, generator=generator)
    slopes = []
    for radius in (1.4, 1.6, 1.8):
        terms = diatomic(radius, 1e-3)
        learned = terms.radius.clone().requires_grad_()
        terms = copy.copy(terms)
        object.__setattr__(terms, "radius", learned)
        level = terms.at(here)

        def score(y, level=level):
            return reduced_forces(topology, level, y).detach()

        negatives = recovered(score, noised, here, above, n_steps=40, step=0.1, generator=generator)
        loss, _ = recovery_loss(topology, terms, here, x, negatives)
        slopes.append(torch.autograd.grad(loss, learned)[0].sum().item())
    assert slopes[0] < 0 < slopes[2]
    assert abs(slopes[1]) < 0.15 * min(-slopes[0], slopes[2])


@pytest.mark.parametrize("kind", [ScoreModel, DiffusionModel])
def test_bound_energy_is_an_energy_function_in_kcal_mol(kind):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = kind(300.0, width=16, n_layers=1, hidden=16)
    topology = topology_of(DRAWN)
    x = torch.randn(3, topology.n_atoms, 2, generator=torch.Generator().manual_seed(0))
    energy_fn = model.energy_at(topology, 0.3)
    energy, forces = energy_and_forces(energy_fn, x)
    plain = energy_and_forces(lambda y: energy_fn(y), x)
    assert energy.shape == (1, 2)
    torch.testing.assert_close(energy, plain.energy)
    torch.testing.assert_close(forces, plain.forces, rtol=1e-3, atol=1e-3)
    assert not energy.requires_grad
