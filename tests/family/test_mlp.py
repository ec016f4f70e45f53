"""The energy of descriptors: normalised by noise-contrastive estimation, sampled by Langevin dynamics."""

import math

import pytest
import torch

from molebm.family.features import Features
from molebm.family.mlp import DescriptorEnergy, MlpConfig, noise_energy
from molebm.family.run import fit


def two_clusters(n, seed=0):
    """Two descriptors of molecules of two kinds."""
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(2, (n, 1), generator=generator) * 2.0 - 1
    return kind * torch.tensor([2.0, 1.0]) + 0.5 * torch.randn((n, 2), generator=generator)


def data(n=2000):
    return Features({"x": two_clusters(n)}, ["train"] * n, [""] * n, {})


GRID = torch.cartesian_prod(*[torch.linspace(-6, 6, 121)] * 2)
CELL = (12 / 120) ** 2


@pytest.fixture(scope="module")
def trained():
    return fit(DescriptorEnergy, MlpConfig(width=32, updates=700, learning_rate=5e-3), data())


def test_untrained_energy_is_that_of_the_gaussian_that_the_descriptors_are_whitened_to():
    model = DescriptorEnergy.build(MlpConfig(width=8), data())
    z = model.whiten(data().tensors["x"])
    torch.testing.assert_close(torch.cov(z.T), torch.eye(2), atol=1e-3, rtol=0)
    found = model.energy(data().tensors["x"]) - z.square().sum(1) / 2
    torch.testing.assert_close(found, found[:1].expand_as(found), atol=1e-5, rtol=0)


def test_noise_has_a_density():
    total = (-noise_energy(GRID, 1.7)).exp().sum() * CELL / (2 * math.pi)
    assert total == pytest.approx(1, abs=1e-3)


def test_noise_contrastive_estimation_normalises_the_energy(trained):
    """By quadrature; of estimation from 2000 points the integral has an error of about their root."""
    with torch.no_grad():
        ln_z = (-trained.whitened_energy(GRID)).logsumexp(0) + math.log(CELL / (2 * math.pi))
    assert ln_z.item() == pytest.approx(0, abs=0.1)


def test_trained_energy_is_low_on_both_clusters_and_high_between_and_beyond(trained):
    with torch.no_grad():
        on, between, beyond = trained.energy(torch.tensor([[2.0, 1.0], [0.0, 0.0], [9.0, -9.0]])).tolist()
    assert on + 2 < between and on + 2 < beyond


def test_energy_gives_data_more_probability_than_the_gaussian_does(trained):
    z = trained.whiten(two_clusters(1000, seed=1))
    with torch.no_grad():
        assert (z.square().sum(1) / 2 - trained.whitened_energy(z)).mean() > 0.3


def test_persistent_chains_lower_the_energy_of_data_against_that_of_the_gaussian_they_began_as():
    options = {"width": 16, "updates": 200, "batch_size": 128, "chains": 128}
    config = MlpConfig(objective="pcd", learning_rate=5e-3, step_size=0.1, n_steps=5, **options)
    model = fit(DescriptorEnergy, config, data())
    noise = torch.randn((4000, 2), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        above = model.network(model.whiten(two_clusters(4000, seed=1))).mean() - model.network(noise).mean()
    assert above.item() < -0.03


def test_missing_spread_is_no_division_by_zero():
    constant = Features({"x": torch.ones((40, 3))}, ["train"] * 40, [""] * 40, {})
    varied = constant.tensors["x"].clone()
    varied[:, 0] = torch.arange(40.0)
    model = DescriptorEnergy.build(MlpConfig(), Features({"x": varied}, ["train"] * 40, [""] * 40, {}))
    assert model.settings()["n_directions"] == 1
    assert model.energy(varied).isfinite().all()
