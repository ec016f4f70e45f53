"""Losses on forces recover a known energy, or the blurred one where theory says so."""

import math

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.energy import energy_and_forces
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.references.mmff import mmff_parameters
from molebm.training.denoising_score_matching import denoising_score_matching, multilevel_denoising_score_matching
from molebm.training.force_matching import force_matching
from molebm.training.sliced_score_matching import sliced_score_matching

KT = 0.6  # kcal/mol
STIFFNESS = 3.0  # kcal/mol/Å²
WIDTH = math.sqrt(KT / STIFFNESS)  # Å, of the distribution


def generator(seed):
    return torch.Generator().manual_seed(seed)


def harmonic(k):
    """Return E = k x²/2 of one atom at the origin, as a molecule of its own."""
    return lambda x: (k / 2 * x.square().sum((0, 1))).unsqueeze(0)


def harmonic_samples(count, seed):
    """Exact samples of one atom at KT, (3, 1, count) Å."""
    return WIDTH * torch.randn(3, 1, count, generator=generator(seed), dtype=torch.float64)


def optimum(loss, *, start=1.0, count=()):
    """One Newton step: exact for a loss that is quadratic in each stiffness and does not couple them."""
    k = torch.full(count, start, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(k), k, create_graph=True)
    (curvature,) = torch.autograd.grad(slope.sum(), k)
    assert (curvature > 0).all()
    return (k - slope / curvature).detach()


def blurred(sigma):
    return STIFFNESS / (1 + STIFFNESS * sigma**2 / KT)


@pytest.fixture(scope="module")
def ethanol():
    """Topology, MMFF94 parameters and positions (3, N, 1), slightly off the minimum, in float64."""
    mol = Chem.AddHs(Chem.MolFromSmiles("CCO"))
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    topology = topology_from_mol(mol)
    positions = positions_from_mol(mol, torch.float64)
    noise = torch.randn(positions.shape, generator=generator(0), dtype=torch.float64)
    return topology, mmff_parameters(mol, topology), positions + 0.05 * noise


# Denoising score matching


@pytest.mark.parametrize("sigma", [0.1, 0.3, 1.0])
def test_denoising_learns_the_blurred_stiffness(sigma):
    """λ/(1 + λσ²/kT); the residual ξ/σ + s has variance 1/σ² - 1/v and does not depend on y, of variance v."""
    x = harmonic_samples(50_000, seed=1)
    found = optimum(lambda k: denoising_score_matching(harmonic(k), x, sigma, KT, generator=generator(2)))
    standard_error = blurred(sigma) * WIDTH / sigma / math.sqrt(x.numel())
    assert found.item() == pytest.approx(blurred(sigma), abs=4 * standard_error)
    assert STIFFNESS - blurred(sigma) > 4 * standard_error  # the two can be told apart


def test_each_level_learns_its_own_blurred_stiffness():
    levels = torch.tensor([0.1, 0.2, 0.4, 0.8], dtype=torch.float64)
    x = harmonic_samples(4 * 20_000, seed=3)
    level = torch.arange(4).repeat(20_000)
    found = optimum(
        lambda k: multilevel_denoising_score_matching(harmonic(k[level]), x, levels[level], KT, generator=generator(4)),
        count=(4,),
    )
    standard_error = blurred(levels) * WIDTH / levels / math.sqrt(3 * 20_000)
    assert ((found - blurred(levels)).abs() < 4 * standard_error).all()


def test_an_energy_that_ignores_the_level_learns_a_compromise():
    """<σ²>/<σ²(1/λ + σ²/kT)>; the residual of each component fixes the tolerance."""
    sigmas = torch.tensor([0.1, 0.2, 0.4, 0.8], dtype=torch.float64).repeat(20_000)
    x = harmonic_samples(len(sigmas), seed=5)
    found = optimum(
        lambda k: multilevel_denoising_score_matching(harmonic(k), x, sigmas, KT, generator=generator(6))
    ).item()
    weight = sigmas**2
    expected = (weight.mean() / (weight * (1 / STIFFNESS + weight / KT)).mean()).item()
    noise = torch.empty_like(x).normal_(generator=generator(6))
    noised = x + sigmas * noise
    slopes = (noise - sigmas * expected * noised / KT) * sigmas * noised / KT
    standard_error = slopes.std().item() / math.sqrt(x.numel()) / ((sigmas * noised / KT) ** 2).mean().item()
    assert found == pytest.approx(expected, abs=4 * standard_error)


def test_one_level_among_many_is_weighted_by_its_variance():
    x, sigma = harmonic_samples(10, seed=7), 0.3
    one = denoising_score_matching(harmonic(2.0), x, sigma, KT, generator=generator(8))
    sigmas = torch.full((10,), sigma, dtype=torch.float64)
    many = multilevel_denoising_score_matching(harmonic(2.0), x, sigmas, KT, generator=generator(8))
    torch.testing.assert_close(many, sigma**2 * one)


def test_an_energy_that_knows_nothing_has_half_at_every_level():
    """<ξ²>/2, whose variance is 1/2n."""
    x = harmonic_samples(10_000, seed=9)
    for sigma in (0.01, 10.0):
        sigmas = torch.full((10_000,), sigma, dtype=torch.float64)
        loss = multilevel_denoising_score_matching(harmonic(0.0), x, sigmas, KT, generator=generator(10))
        assert loss.item() == pytest.approx(0.5, abs=4 * math.sqrt(0.5 / x.numel()))


# Sliced score matching


def test_sliced_score_matching_gives_the_stiffness_of_the_data():
    """Signs are exact for uncoupled coordinates: the optimum is kT/<x²>, the maximum-likelihood estimate."""
    x = harmonic_samples(20_000, seed=11)
    found = optimum(lambda k: sliced_score_matching(harmonic(k), x, KT, generator=generator(12))).item()
    assert found == pytest.approx(KT / x.square().mean().item(), rel=1e-12)
    assert found == pytest.approx(STIFFNESS, rel=4 * math.sqrt(2 / x.numel()))


@pytest.mark.parametrize("projections", [1, 3])
def test_sliced_score_matching_recovers_coupled_coordinates(projections):
    """E = xᵀAx/2: the slope by A at the truth is <A x xᵀ>/kT² - <v vᵀ>/kT, both with mean 1/kT."""
    a = torch.tensor([[3.0, 1.0, 0.5], [1.0, 2.0, -0.4], [0.5, -0.4, 1.0]], dtype=torch.float64)
    count = 20_000
    root = torch.linalg.cholesky(KT * a.inverse())
    x = (root @ torch.randn(3, count, generator=generator(13), dtype=torch.float64)).unsqueeze(1)
    learned = a.clone().requires_grad_()

    def energy_fn(y):
        return torch.einsum("inc,ij,jnc->nc", y, learned, y) / 2

    sliced_score_matching(energy_fn, x, KT, generator=generator(14), projections=projections).backward()
    outer = torch.einsum("ic,jc->ijc", (a @ x[:, 0]), x[:, 0]) / KT**2
    by_data = (outer + outer.transpose(0, 1)) / 2  # the energy sees only the symmetric part
    variance = by_data.var(-1) + (1 - torch.eye(3)) / KT**2 / projections
    assert (learned.grad.abs() < 4 * (variance / count).sqrt() / 3).all()  # the mean is over three components


def test_sliced_score_matching_estimates_the_laplacian_of_a_molecule(ethanol):
    """Hutchinson with signs: mean tr H, variance 2 Σ_{i≠j} H_ij² over the number of directions."""
    topology, parameters, positions = ethanol
    energy_fn = MechanicalEnergy(topology, parameters, backend="torch")
    size = positions.numel()
    hessian = torch.autograd.functional.hessian(lambda x: energy_fn(x).sum(), positions).reshape(size, size) / KT
    score = energy_and_forces(energy_fn, positions).forces / KT
    exact = (score.square().sum() / 2 - hessian.trace()).item() / size
    copies, projections = 50, 4
    loss = sliced_score_matching(
        energy_fn, positions.expand(-1, -1, copies), KT, generator=generator(15), projections=projections
    )
    couplings = hessian.square().sum() - hessian.diagonal().square().sum()
    standard_error = (2 * couplings / (copies * projections)).sqrt().item() / size
    assert loss.item() == pytest.approx(exact, abs=4 * standard_error)


# Force matching


def test_force_matching_gives_the_stiffness_to_rounding():
    x = harmonic_samples(20, seed=16)
    found = optimum(lambda k: force_matching(harmonic(k), x, -STIFFNESS * x))
    assert found.item() == pytest.approx(STIFFNESS, rel=1e-12)


def test_force_matching_is_the_mean_squared_error_of_a_component():
    x = harmonic_samples(20, seed=17)
    loss = force_matching(harmonic(STIFFNESS + 2), x, -STIFFNESS * x)
    assert loss.item() == pytest.approx(4 * x.square().mean().item(), rel=1e-12)


# All of them, on a real molecule

LOSSES = {
    "denoising": lambda energy_fn, x, _: denoising_score_matching(energy_fn, x, 0.05, KT, generator=generator(18)),
    "multilevel": lambda energy_fn, x, _: multilevel_denoising_score_matching(
        energy_fn, x, torch.tensor([0.05, 0.2], dtype=x.dtype), KT, generator=generator(18)
    ),
    "sliced": lambda energy_fn, x, _: sliced_score_matching(energy_fn, x, KT, generator=generator(18)),
    "force": force_matching,
}


@pytest.mark.parametrize("name", LOSSES)
def test_gradients_reach_the_parameters_of_a_molecule(name, ethanol):
    """Against the same loss a little further along, by central differences."""
    topology, parameters, positions = ethanol
    x = torch.cat([positions, positions * 1.01], dim=-1)
    forces = energy_and_forces(MechanicalEnergy(topology, parameters), x).forces

    def loss(scale):
        scaled = parameters.map(lambda column: column * scale)
        return LOSSES[name](MechanicalEnergy(topology, scaled, backend="torch"), x, forces)

    scale = torch.tensor(1.01, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(loss(scale), scale)
    step = 1e-6
    differences = (loss(scale.detach() + step) - loss(scale.detach() - step)) / (2 * step)
    assert slope.item() == pytest.approx(differences.item(), rel=1e-5)


@pytest.mark.parametrize("name", LOSSES)
def test_the_zero_of_energy_has_no_force(name):
    x = harmonic_samples(2, seed=19)
    loss = LOSSES[name](harmonic(STIFFNESS), x, x)
    shifted = LOSSES[name](lambda y: harmonic(STIFFNESS)(y) + 7, x, x)
    torch.testing.assert_close(shifted, loss)


def test_each_column_has_its_own_temperature():
    """E at kT is E/kT at 1."""
    x, kT = harmonic_samples(2, seed=20), torch.tensor([0.6, 1.6], dtype=torch.float64)

    def reduced(y):
        return harmonic(STIFFNESS)(y) / kT

    for loss in (
        lambda energy_fn, kT: denoising_score_matching(energy_fn, x, 0.3, kT, generator=generator(21)),
        lambda energy_fn, kT: sliced_score_matching(energy_fn, x, kT, generator=generator(21)),
    ):
        torch.testing.assert_close(loss(harmonic(STIFFNESS), kT), loss(reduced, 1.0))
