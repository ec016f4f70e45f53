"""Losses that compare conformers of one molecule are least at the true energy, whatever its zero."""

import math

import pytest
import torch

from molebm.training.boltzmann_cross_entropy import boltzmann_cross_entropy
from molebm.training.conditional_nce import conditional_nce
from molebm.training.info_nce import info_nce, noised_negatives

KT = 0.6  # kcal/mol
STIFFNESS = 3.0  # kcal/mol/Å²
SIGMA = 0.4  # Å
K = 7


def generator(seed):
    return torch.Generator().manual_seed(seed)


def harmonic(x, k=STIFFNESS):
    """Return k x²/2 of every atom, each a molecule of its own: (3, N, C) -> (N, C)."""
    return k / 2 * x.square().sum(0)


def harmonic_samples(count, seed, n_atoms=1):
    """Exact samples at KT, (3, n_atoms, count) Å."""
    x = torch.randn(3, n_atoms, count, generator=generator(seed), dtype=torch.float64)
    return math.sqrt(KT / STIFFNESS) * x


def info_nce_slopes(data, negatives):
    """Per conformer dL/dk at the true k by hand: <x²/2kT> of the data less its mean over the posterior."""
    candidates = torch.cat([data, negatives], dim=-1).unflatten(-1, (-1, data.shape[-1]))  # (3, 1, K + 1, C)
    energies = harmonic(candidates) / KT
    posterior = (-energies).softmax(dim=1)
    return ((energies[:, 0] - (posterior * energies).sum(1)) / STIFFNESS).flatten()


# InfoNCE


def test_info_nce_is_least_at_the_true_stiffness():
    data = harmonic_samples(20_000, seed=0)
    negatives = noised_negatives(data, SIGMA, count=K, generator=generator(1))
    k = torch.tensor(STIFFNESS, dtype=torch.float64, requires_grad=True)
    info_nce(harmonic(data, k), harmonic(negatives, k), KT).backward()
    slopes = info_nce_slopes(data, negatives)
    assert k.grad.item() == pytest.approx(slopes.mean().item(), rel=1e-9)
    assert abs(k.grad.item()) < 4 * slopes.std().item() / math.sqrt(slopes.numel())


def test_negatives_about_the_data_itself_would_give_it_away():
    """The same test tells that the data lie in the middle: its posterior is not that of the energy alone."""
    data = harmonic_samples(20_000, seed=2)
    noise = torch.randn(3, 1, K, data.shape[-1], generator=generator(3), dtype=torch.float64)
    slopes = info_nce_slopes(data, (data.unsqueeze(2) + SIGMA * noise).flatten(2))
    assert abs(slopes.mean().item()) > 8 * slopes.std().item() / math.sqrt(slopes.numel())


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_info_nce_pulls_a_wrong_stiffness_back(wrong):
    data = harmonic_samples(5_000, seed=4)
    negatives = noised_negatives(data, SIGMA, count=K, generator=generator(5))
    k = torch.tensor(wrong * STIFFNESS, dtype=torch.float64, requires_grad=True)
    info_nce(harmonic(data, k), harmonic(negatives, k), KT).backward()
    assert k.grad.item() * (wrong - 1) > 0


def test_with_one_negative_info_nce_is_conditional_nce():
    data = harmonic_samples(10, seed=6)
    energies = harmonic(data), harmonic(noised_negatives(data, SIGMA, count=1, generator=generator(7)))
    torch.testing.assert_close(info_nce(*energies, KT), conditional_nce(*energies, KT))


def test_an_energy_that_knows_nothing_guesses():
    flat = torch.zeros(2, 5)
    assert info_nce(flat, flat.repeat(1, K), KT).item() == pytest.approx(math.log(K + 1), rel=1e-6)


def test_molecules_and_temperatures_are_kept_apart():
    """One loss over two molecules at two temperatures is the mean of four."""
    data, kT = harmonic_samples(2, seed=8, n_atoms=2), torch.tensor([0.6, 1.6], dtype=torch.float64)
    energy = harmonic(data)
    negatives = harmonic(noised_negatives(data, SIGMA, count=K, generator=generator(9)))
    alone = [
        info_nce(energy[g : g + 1, c : c + 1], negatives[g : g + 1, c::2], kT[c].item())
        for g in range(2)
        for c in range(2)
    ]
    torch.testing.assert_close(info_nce(energy, negatives, kT), torch.stack(alone).mean())


def test_negatives_stand_about_one_centre_as_far_from_it_as_the_data():
    """Data and negatives alike are σ off it, so any two of them have covariance 0 and differ by √2 σ."""
    data, width = torch.zeros(3, 1, 4, dtype=torch.float64), torch.tensor([0.0, 0.1, 0.2, 0.4], dtype=torch.float64)
    data = data.repeat_interleave(20_000, dim=-1)
    negatives = noised_negatives(data, width.repeat_interleave(20_000), count=2, generator=generator(10))
    first, second = negatives.unflatten(2, (2, 4, 20_000)).movedim(2, 0)  # (3, 1, 4, 20_000) of each
    tolerance = 4 * math.sqrt(2 / 60_000)  # relative, of a variance
    for difference in (first, second, first - second):
        variance = difference.square().mean((0, 1, 3))
        torch.testing.assert_close(variance, 2 * width**2, rtol=tolerance, atol=0)


def test_info_nce_ignores_the_zero_of_energy():
    data = harmonic_samples(10, seed=15)
    energy, negatives = harmonic(data), harmonic(noised_negatives(data, SIGMA, count=K, generator=generator(16)))
    torch.testing.assert_close(info_nce(energy + 7, negatives + 7, KT), info_nce(energy, negatives, KT))


# Boltzmann cross-entropy


def test_boltzmann_cross_entropy_is_least_at_the_reference():
    """There it is the entropy of the weights, its slope is zero, and every other energy has more."""
    reference = 2 * torch.rand(3, 6, generator=generator(11), dtype=torch.float64)
    energy = reference.clone().requires_grad_()
    loss = boltzmann_cross_entropy(energy, reference, KT)
    loss.backward()
    entropy = torch.distributions.Categorical(logits=-reference / KT).entropy().mean()
    torch.testing.assert_close(loss.detach(), entropy)
    torch.testing.assert_close(energy.grad, torch.zeros_like(reference), rtol=0, atol=1e-15)
    for seed in range(10):
        other = reference + 0.1 * torch.randn(reference.shape, generator=generator(seed), dtype=torch.float64)
        assert boltzmann_cross_entropy(other, reference, KT) > loss


def test_boltzmann_cross_entropy_knows_the_true_stiffness_from_any_conformers():
    """They need not be samples; the slope vanishes to rounding."""
    x = torch.linspace(-2, 1, 9, dtype=torch.float64).expand(3, 1, 9)
    k = torch.tensor(STIFFNESS, dtype=torch.float64, requires_grad=True)
    boltzmann_cross_entropy(harmonic(x, k), harmonic(x), KT).backward()
    assert k.grad.item() == pytest.approx(0, abs=1e-13)


@pytest.mark.parametrize("wrong", [0.5, 2.0])
def test_boltzmann_cross_entropy_pulls_a_wrong_stiffness_back(wrong):
    x = harmonic_samples(9, seed=12)
    k = torch.tensor(wrong * STIFFNESS, dtype=torch.float64, requires_grad=True)
    boltzmann_cross_entropy(harmonic(x, k), harmonic(x), KT).backward()
    assert k.grad.item() * (wrong - 1) > 0


def test_each_molecule_has_its_own_zero_of_energy_and_temperature():
    reference = torch.rand(2, 6, generator=generator(13), dtype=torch.float64)
    energy = torch.rand(2, 6, generator=generator(14), dtype=torch.float64)
    kT = torch.tensor([[0.6], [1.6]], dtype=torch.float64)
    loss = boltzmann_cross_entropy(energy, reference, kT)
    zero = torch.tensor([[100.0], [-30.0]], dtype=torch.float64)
    torch.testing.assert_close(boltzmann_cross_entropy(energy + zero, reference - 2 * zero, kT), loss)
    alone = [boltzmann_cross_entropy(energy[g : g + 1], reference[g : g + 1], kT[g].item()) for g in range(2)]
    torch.testing.assert_close(loss, torch.stack(alone).mean())
