"""Annealing through levels of noise: on a harmonic toy each level's chain is known."""

import pytest
import torch

from molebm.samplers.annealed_langevin import annealed_langevin, cloud, denoised, geometric_levels

KT = 0.6  # kcal/mol
WIDTH = 0.5  # Å, of the data in every coordinate


@pytest.fixture
def blurred():
    """The energy of Gaussian data blurred by a width."""

    def at(sigma):
        return lambda x: KT * x.square().sum((0, 1))[None] / (2 * (WIDTH**2 + sigma**2))

    return at


def levels_of(blurred, topology, generator, **options):
    positions = cloud(topology, 3.0, 4000, [generator]).double()
    return annealed_langevin(
        blurred, topology, positions, [3.0, 1.0, 0.3], kT=KT, steps_per_level=60, generator=generator, **options
    )


def test_adjusted_chains_have_the_blurred_variance_at_every_level(blurred, make_topology, generator):
    for state, sigma in levels_of(blurred, make_topology(1), generator, step=0.8, adjusted=True):
        standard_error = (2 / state.positions.numel()) ** 0.5
        relative = state.positions.square().mean() / (WIDTH**2 + sigma**2)
        assert relative.item() == pytest.approx(1, abs=4 * standard_error)


def test_plain_chains_have_the_bias_that_is_told(blurred, make_topology, generator):
    for state, sigma in levels_of(blurred, make_topology(1), generator, step=0.8):
        variance = WIDTH**2 + sigma**2
        told = variance / (1 - 0.4 * sigma**2 / variance)
        standard_error = (2 / state.positions.numel()) ** 0.5
        assert (state.positions.square().mean() / told).item() == pytest.approx(1, abs=4 * standard_error)


def test_denoising_gives_the_mean_of_what_may_have_been(blurred, make_topology, generator):
    """Of a Gaussian it is x s²/(s² + σ²)."""
    *_, (state, sigma) = levels_of(blurred, make_topology(1), generator)
    expected = state.positions * WIDTH**2 / (WIDTH**2 + sigma**2)
    torch.testing.assert_close(denoised(state, sigma, KT), expected)


def test_levels_fall_by_a_constant_factor_and_a_cloud_does_not_depend_on_the_company(make_topology):
    assert geometric_levels(8.0, 1.0, 4) == pytest.approx([8, 4, 2, 1])
    generators = [torch.Generator().manual_seed(seed) for seed in (1, 2)]
    both = cloud(make_topology(2, 3), 1.0, 5, generators)
    alone = cloud(make_topology(3), 1.0, 5, [torch.Generator().manual_seed(2)])
    assert torch.equal(both[:, 2:], alone)
