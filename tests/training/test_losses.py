"""The objectives recover a known energy where theory says they must."""

import math

import pytest
import torch

from molebm.training.conditional_nce import conditional_nce
from molebm.training.contrastive_divergence import contrastive_divergence

KT = 0.6  # kcal/mol
STIFFNESS = 3.0  # kcal/mol/Å²


def harmonic_samples(count, seed):
    """Exact samples of a harmonic oscillator at KT, (1, count) Å."""
    generator = torch.Generator().manual_seed(seed)
    return math.sqrt(KT / STIFFNESS) * torch.randn(1, count, generator=generator, dtype=torch.float64)


def test_conditional_nce_is_least_at_the_true_stiffness():
    """d<L>/dk vanishes at the true k; the estimate's own standard error fixes the tolerance."""
    x = harmonic_samples(200_000, seed=0)
    noised = x + 0.4 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    k = torch.tensor(STIFFNESS, dtype=torch.float64, requires_grad=True)
    conditional_nce(k / 2 * x**2, k / 2 * noised**2, KT).backward()
    difference = (x**2 - noised**2) / 2 / KT
    per_sample = torch.sigmoid(STIFFNESS * difference) * difference
    assert k.grad.item() == pytest.approx(per_sample.mean().item(), rel=1e-9)
    assert abs(k.grad.item()) < 4 * per_sample.std().item() / math.sqrt(x.numel())


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_conditional_nce_pulls_a_wrong_stiffness_back(wrong):
    x = harmonic_samples(20_000, seed=2)
    noised = x + 0.4 * torch.randn(x.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    k = torch.tensor(wrong * STIFFNESS, dtype=torch.float64, requires_grad=True)
    conditional_nce(k / 2 * x**2, k / 2 * noised**2, KT).backward()
    assert k.grad.item() * (wrong - 1) > 0


def test_the_gradient_of_contrastive_divergence_is_that_of_the_likelihood():
    """-ln p = k x²/2kT - ½ ln k: the model's samples stand in for the second term."""
    data, wrong = harmonic_samples(200_000, seed=4), 2.0
    k = torch.tensor(wrong * STIFFNESS, dtype=torch.float64, requires_grad=True)
    samples = harmonic_samples(200_000, seed=5) / math.sqrt(wrong)
    contrastive_divergence(k / 2 * data**2, k / 2 * samples**2, KT).backward()
    exact = (KT / STIFFNESS) / (2 * KT) - 1 / (2 * wrong * STIFFNESS)
    standard_error = (data.var() + samples.var()).item() / (2 * KT) * math.sqrt(2 / data.numel())
    assert k.grad.item() == pytest.approx(exact, abs=4 * standard_error)


def test_objectives_ignore_the_zero_of_energy():
    x = harmonic_samples(100, seed=6)
    for objective in (conditional_nce, contrastive_divergence):
        torch.testing.assert_close(objective(x**2 + 7, x**2 / 2 + 7, KT), objective(x**2, x**2 / 2, KT))
