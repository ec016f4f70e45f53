"""Langevin dynamics of rows, and the buffer of chains."""

import pytest
import torch

from molebm.family.langevin import Buffer, langevin


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_quadratic_energy_is_sampled_with_the_variance_that_its_bias_has():
    """1 / λ(1 - αλ/2) along each mode, within four standard errors."""
    stiffness, step_size = torch.tensor([0.5, 1.0, 4.0]), 0.05
    chains = langevin(
        lambda x: (stiffness * x.square()).sum(-1) / 2,
        torch.zeros(4000, 3),
        step_size=step_size,
        n_steps=250,
        generator=generator(),
    )
    expected = 1 / (stiffness * (1 - step_size * stiffness / 2))
    standard_error = (2 / len(chains)) ** 0.5
    assert torch.allclose(chains.var(0) / expected, torch.ones(3), atol=4 * standard_error)


def test_a_row_that_explodes_stays_and_touches_no_other():
    def energy(x: torch.Tensor) -> torch.Tensor:
        return torch.where(x[:, 0] > 5, torch.inf, 1.0) * x.square().sum(-1) / 2

    start = torch.tensor([[10.0, 1.0], [0.5, 0.5]])
    both = langevin(energy, start, step_size=0.01, n_steps=5, generator=generator())
    assert both[0].tolist() == start[0].tolist()
    assert both.isfinite().all()
    assert not torch.equal(both[1], start[1])


def test_no_gradient_comes_back_through_the_chain():
    weight = torch.ones((), requires_grad=True)
    chains = langevin(
        lambda x: weight * x.square().sum(-1), torch.ones(3, 2), step_size=0.1, n_steps=2, generator=generator()
    )
    assert not chains.requires_grad
    assert weight.grad is None


@pytest.mark.parametrize("count", [3, 10, 25])
def test_chains_of_a_buffer_return_to_their_places(count):
    buffer = Buffer(torch.arange(10.0)[:, None])
    rows, chains = buffer.draw(count, generator())
    assert len(rows) == count
    assert len(rows[:10].unique()) == min(count, 10)
    kept = buffer.keep(rows, chains + 100)
    moved = torch.isin(torch.arange(10), rows)
    assert torch.equal(kept.chains[:, 0], torch.arange(10.0) + 100 * moved)
    assert torch.equal(buffer.chains[:, 0], torch.arange(10.0))
