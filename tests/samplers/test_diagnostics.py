import math

import pytest
import torch

from molebm.errors import RequestError
from molebm.samplers.diagnostics import effective_sample_size, split_r_hat, swap_overlap
from molebm.samplers.run import sample
from molebm.samplers.sampler import Sampler, State
from molebm.samplers.tempering import parallel_tempering


def autoregressive(correlation: float, shape: tuple[int, ...], generator: torch.Generator) -> torch.Tensor:
    """Draw stationary chains of unit variance whose correlation falls by a constant factor from draw to draw."""
    draws = torch.randn(shape, dtype=torch.float64, generator=generator)
    for n in range(1, len(draws)):
        draws[n] = correlation * draws[n - 1] + (1 - correlation**2) ** 0.5 * draws[n]
    return draws


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.6, 0.9])
def test_effective_sample_size_of_an_autoregressive_chain_is_known(generator, correlation):
    """S (1 - ρ)/(1 + ρ); where the sum over lags is cut leaves a bias of some percent in chains of this length."""
    draws = autoregressive(correlation, (1000, 32, 4), generator)
    ratio = effective_sample_size(draws) / 4000 / ((1 - correlation) / (1 + correlation))
    assert ratio.shape == (32,)
    standard_error = ratio.std().item() / 32**0.5
    assert ratio.mean().item() == pytest.approx(1, abs=0.06 + 4 * standard_error)
    assert standard_error < 0.04


def test_effective_sample_size_is_that_of_the_variance_of_the_mean(generator):
    """The definition: Var(mean) = Var(x)/size, the variance taken over 400 repetitions."""
    draws = autoregressive(0.7, (250, 400, 2), generator)
    variance = draws.mean((0, 2)).var()
    size = effective_sample_size(draws).mean()
    assert (variance * size).item() == pytest.approx(1, abs=4 * (2 / 400) ** 0.5)


def test_r_hat_of_mixed_chains_is_one(generator):
    r_hat = split_r_hat(torch.randn(500, 50, 4, generator=generator))
    assert ((r_hat > 0.995) & (r_hat < 1.02)).all()
    assert r_hat.mean().item() == pytest.approx(1, abs=0.01)


def test_r_hat_is_the_ratio_of_the_paper_for_chains_apart():
    """Four draws and two chains, by hand: ranks 1, 2 | 3, 4 and 5, 6 | 7, 8 as half chains."""
    draws = torch.tensor([[1.0, 5.0], [2.0, 60.0], [3.0, 700.0], [4.0, 8000.0]])
    normal = torch.distributions.Normal(0.0, 1.0)
    scores = normal.icdf((torch.arange(1, 9, dtype=torch.float64) - 0.375) / 8.25)
    halves = scores.view(4, 2)
    within, between = halves.var(1).mean(), halves.mean(1).var()
    expected = (1 / 2 + between / within).sqrt()
    assert split_r_hat(draws).item() == pytest.approx(expected.item(), rel=1e-6)
    assert split_r_hat(draws.log()).item() == pytest.approx(expected.item(), rel=1e-6)  # ranks alone count


@pytest.mark.parametrize("difference", ["place", "width", "trend"])
def test_r_hat_finds_chains_that_differ(generator, difference):
    draws = torch.randn(400, 4, generator=generator)
    if difference == "place":
        draws[:, 0] += 1
    elif difference == "width":
        draws[:, 0] *= 4
    else:
        draws += torch.linspace(0, 1.5, 400)[:, None]
    assert split_r_hat(draws) > 1.05


def test_r_hat_and_size_do_not_mind_draws_without_a_mean(generator):
    draws = torch.randn(1000, 4, generator=generator) / torch.randn(1000, 4, generator=generator)  # Cauchy
    assert split_r_hat(draws) < 1.02
    assert effective_sample_size(draws).item() / 4000 == pytest.approx(1, abs=0.2)


def test_molecules_are_judged_apart_and_a_lost_one_is_not_judged(generator):
    draws = torch.randn(100, 3, 4, generator=generator)
    spoilt = draws.clone()
    spoilt[7, 1, 2], spoilt[:, 2] = math.nan, 5.0
    for judge in (split_r_hat, effective_sample_size):
        torch.testing.assert_close(judge(spoilt)[0], judge(draws[:, 0]))
        assert judge(spoilt)[1:].isnan().all()


@pytest.mark.parametrize("judge", [split_r_hat, effective_sample_size])
def test_three_draws_are_too_few(judge):
    with pytest.raises(RequestError, match="3 draws"):
        judge(torch.zeros(3, 2))


def exponential(kT: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Draw energies of a system with two harmonic degrees of freedom."""
    return -kT * torch.rand(kT.shape, generator=generator).clamp(min=1e-12).log()


def test_overlap_is_the_swap_rate_of_the_metropolis_rule_and_that_of_the_closed_form(make_topology, generator):
    """Two harmonic degrees of freedom: 2 T/(T + T') for temperatures T < T'."""
    ladder, n_chains, n = torch.tensor([0.5, 1.0, 4.0]), 40, 100
    kT = ladder.repeat_interleave(n_chains).expand(n, 2, -1)
    energies = exponential(kT, generator)
    overlap = swap_overlap(energies, n_temperatures=3)
    expected = torch.tensor([2 * 0.5 / 1.5, 2 * 1.0 / 5.0], dtype=torch.float64).expand(2, 2)
    standard_error = (1 / (n * n_chains)) ** 0.5  # of twice a Mann-Whitney count, at most
    torch.testing.assert_close(overlap, expected, atol=4 * standard_error, rtol=0)

    redrawn = Sampler(  # fresh draws at every step, as a perfect sampler would give
        lambda x: State(x, torch.zeros(2, x.shape[-1]), torch.zeros_like(x)),
        lambda state, kT, generator: (state._replace(energy=exponential(kT.expand(2, -1), generator)), None),
    )
    topology = make_topology(1, 1)
    tempered = parallel_tempering(redrawn, topology, n_temperatures=3, steps_per_swap=1)
    chain = sample(
        tempered, tempered.init(torch.zeros(3, 2, 3 * n_chains)), kT=kT[0, 0], n_steps=n, generator=generator
    )
    rate = torch.stack([info.acceptance for _, info in chain]).double().mean((0, 3))  # (G, T - 1)
    torch.testing.assert_close(rate, expected, atol=4 * standard_error, rtol=0)


def test_overlap_is_one_for_equal_distributions_none_for_distant_ones_and_ties_count_half():
    energies = torch.tensor([[[0.0, 1.0, 0.0, 1.0]], [[1.0, 0.0, 1.0, 0.0]]])
    assert swap_overlap(energies, n_temperatures=2).tolist() == [[1.0]]
    energies[..., 2:] += 10
    assert swap_overlap(energies, n_temperatures=2).tolist() == [[0.0]]
    energies[0, 0, 0] = math.nan
    assert swap_overlap(energies, n_temperatures=2).isnan().all()
