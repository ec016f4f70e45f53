"""Ratios of partition functions: exact values, unbiased weights, bounds on the right side."""

import math

import pytest
import torch

from molebm.samplers.annealed_importance import (
    annealed_importance,
    bennett,
    bootstrap_error,
    bracket,
    effective_size,
    log_mean_exp,
    log_ratio,
)
from molebm.samplers.thermodynamic_integration import slopes_along, thermodynamic_integration

K0, K1 = 1.0, torch.tensor([9.0, 4.0, 0.5])  # stiffness of three independent modes at either end
EXACT = -0.5 * (K1 / K0).log().sum().item()  # ln Z1/Z0
SCHEDULE = torch.linspace(0, 1, 9).tolist()


def stiffness(position):
    return K0 * (1 - position) + K1 * position


def log_density(x, position):
    """Of chains x (C, 3)."""
    return -0.5 * (stiffness(position) * x.square()).sum(-1)


def move(x, position, generator):
    """Resample half of what is forgotten: exact for the Gaussian at every rung."""
    noise = torch.empty_like(x).normal_(generator=generator) / torch.as_tensor(stiffness(position)).sqrt()
    return 0.6 * x + 0.8 * noise


def drawn(position, n, generator):
    return (
        torch.empty(n, 3, dtype=torch.float64).normal_(generator=generator)
        / torch.as_tensor(stiffness(position)).sqrt()
    )


def weights(schedule, n=4000, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rungs = annealed_importance(log_density, move, drawn(schedule[0], n, generator), schedule, generator)
    return list(rungs)[-1][1]


def test_mean_weight_is_the_ratio_of_gaussian_integrals_even_in_one_leap():
    for schedule in ([0.0, 1.0], SCHEDULE):
        found = log_ratio(weights(schedule), torch.Generator().manual_seed(1))
        assert found.value.item() == pytest.approx(EXACT, abs=4 * found.error.item())
        assert found.bound < EXACT


def test_more_rungs_make_more_effective_samples():
    assert effective_size(weights([0.0, 1.0])) < effective_size(weights(SCHEDULE)) < 4000


def test_forward_and_back_bracket_the_truth():
    found = bracket(weights(SCHEDULE), weights(SCHEDULE[::-1], seed=2), torch.Generator().manual_seed(3))
    assert found.value.item() == pytest.approx(EXACT, abs=4 * found.error.item())
    assert found.hysteresis > 0
    few = [(weights([0, 1], 4, seed), weights([1, 0], 4, seed)) for seed in range(300)]  # bounds in expectation
    lower = torch.stack([log_mean_exp(forward) for forward, _ in few])
    upper = -torch.stack([log_mean_exp(back) for _, back in few])
    assert lower.mean() < EXACT < upper.mean()


def test_bennett_is_exact_for_gaussian_work_and_errors_shrink_with_the_root():
    """Work w forward and back of variance 2 that obeys Crooks' theorem, for a ratio of e³."""
    generator = torch.Generator().manual_seed(0)
    normal = torch.empty(2, 100_000, dtype=torch.float64).normal_(std=2**0.5, generator=generator)
    forward, back = normal[0] + 3 - 1, normal[1] - 3 - 1
    assert bennett(forward, back).item() == pytest.approx(3, abs=0.02)
    errors = [bootstrap_error(log_mean_exp, forward[:n], generator).item() for n in (400, 40_000)]
    assert errors[0] / errors[1] == pytest.approx(10, rel=0.5)


def test_weights_that_are_alike_all_count():
    equal = torch.full((2, 50), -700.0)
    assert effective_size(equal).tolist() == pytest.approx([50, 50], rel=1e-4)
    assert log_mean_exp(equal).tolist() == pytest.approx([-700, -700])


def test_integration_is_exact_within_its_error_and_inside_its_bounds():
    generator = torch.Generator().manual_seed(0)

    def slope(x):
        return log_density(x, 1) - log_density(x, 0)

    rungs = slopes_along(slope, move, drawn(0.0, 500, generator), SCHEDULE, generator, n_equilibration=4, n_samples=8)
    slopes = torch.stack([slopes for _, slopes in rungs])  # (K, C, S)
    found = thermodynamic_integration(slopes, SCHEDULE, generator)
    assert found.value.item() == pytest.approx(EXACT, abs=4 * found.error.item() + 0.01)  # and of the rule
    assert found.error < 0.02
    assert found.lower < EXACT < found.upper
    plain = torch.trapezoid(slopes.mean((-1, -2)), torch.tensor(SCHEDULE, dtype=torch.float64)).item()
    assert abs(found.value.item() - EXACT) < abs(plain - EXACT) / 3


def test_integration_of_a_slope_without_noise_is_the_trapezoidal_rule_for_each_molecule():
    slopes = torch.tensor([[1.0, 4.0], [3.0, 8.0]])[:, :, None, None].expand(2, 2, 5, 3)  # K, G, C, S
    found = thermodynamic_integration(slopes, [0.0, 1.0], torch.Generator().manual_seed(0))
    assert found.value.tolist() == pytest.approx([2, 6])
    assert found.error.tolist() == pytest.approx([0, 0], abs=1e-6)
    assert math.isclose(found.lower[0].item(), 1) and math.isclose(found.upper[1].item(), 8)
    with pytest.raises(ValueError, match="one for each"):
        thermodynamic_integration(slopes, [0.0], torch.Generator())
