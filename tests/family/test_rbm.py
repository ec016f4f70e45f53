"""Restricted Boltzmann machines, each truth by enumeration of all states of a small one."""

import pytest
import torch

from molebm.family.interface import Moment
from molebm.family.rbm import RbmConfig, RestrictedBoltzmannMachine
from molebm.family.rbm_partition import all_bits, annealed_ln_partition, exact_ln_partition, path_to

V, H = 6, 4


@pytest.fixture
def machine():
    with torch.random.fork_rng():
        torch.manual_seed(3)
        made = RestrictedBoltzmannMachine(V, H).double()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.8)
    return made


def joint(machine):
    """Ln p(v, h) of all states, (2^V, 2^H)."""
    v, h = all_bits(V), all_bits(H)
    energy = machine.joint_energy(v.repeat_interleave(len(h), dim=0), h.repeat(len(v), 1)).view(len(v), len(h))
    return (-energy).log_softmax(-1).detach(), -energy.detach()


def test_free_energy_is_the_joint_energy_with_hidden_bits_summed_out(machine):
    _, minus_energy = joint(machine)
    torch.testing.assert_close(machine.energy(all_bits(V)), -minus_energy.logsumexp(1))


def test_partition_function_is_the_sum_over_all_states_whichever_layer_is_smaller(machine):
    _, minus_energy = joint(machine)
    assert exact_ln_partition(machine) == pytest.approx(minus_energy.flatten().logsumexp(0).item(), abs=1e-12)
    turned = RestrictedBoltzmannMachine(H, V).double()
    turned.load_state_dict(
        {
            "weights": machine.weights.T,
            "visible_bias": machine.hidden_bias,
            "hidden_bias": machine.visible_bias,
        }
    )
    assert exact_ln_partition(turned) == pytest.approx(exact_ln_partition(machine), abs=1e-12)


def test_conditionals_are_those_of_the_joint_distribution(machine):
    _, minus_energy = joint(machine)
    v, h = all_bits(V), all_bits(H)
    torch.testing.assert_close(minus_energy.softmax(1) @ h, machine.hidden_given(v))
    torch.testing.assert_close(minus_energy.softmax(0).T @ v, machine.visible_given(h))


def test_block_gibbs_leaves_the_distribution_as_it_is(machine):
    """From exact samples, so that what is seen afterwards is exact but for the number of chains."""
    generator = torch.Generator().manual_seed(0)
    n = 100_000
    exact = (-machine.energy(all_bits(V))).softmax(0).detach()
    start = all_bits(V)[torch.multinomial(exact, n, replacement=True, generator=generator)]
    end = machine.gibbs(start, 2, generator)
    found = torch.bincount((end @ (2.0 ** torch.arange(V - 1, -1, -1)).double()).long(), minlength=2**V) / n
    assert ((found - exact).abs() <= 5 * (exact * (1 - exact) / n).sqrt() + 1 / n).all()


def test_step_on_exact_samples_has_the_gradient_of_the_likelihood(machine):
    """With negatives from the model the gradient of the loss is that of -ln p, which enumeration differentiates."""
    data = all_bits(V)[[3, 17, 17, 40]]
    likelihood = machine.energy(data).mean() + (-machine.energy(all_bits(V))).logsumexp(0)
    exact = torch.autograd.grad(likelihood, list(machine.parameters()))
    v, h = all_bits(V), all_bits(H)
    p = joint(machine)[1].flatten().softmax(0).view(len(v), len(h))
    of_data = machine.hidden_given(data)
    torch.testing.assert_close(exact[0], v.T @ p @ h - data.T @ of_data / len(data))
    torch.testing.assert_close(exact[1], p.sum(1) @ v - data.mean(0))
    torch.testing.assert_close(exact[2], p.sum(0) @ h - of_data.mean(0))

    generator = torch.Generator().manual_seed(0)
    n = 200_000
    samples = v[torch.multinomial(p.sum(1), n, replacement=True, generator=generator)]
    config = RbmConfig(objective="pcd", n_steps=1)
    step = machine.step({"x": data}, {"chains": samples}, config, Moment(0.0, generator))
    found = torch.autograd.grad(step.loss, list(machine.parameters()))
    for ours, truth in zip(found, exact, strict=True):
        assert (ours - truth).abs().max() < 5 * 0.5 / n**0.5  # a mean of n numbers between 0 and 1


def test_contrastive_divergence_starts_from_data_and_persistent_chains_go_on(machine, bits):
    moment = Moment(0.0, torch.Generator().manual_seed(0))
    assert machine.begin(RbmConfig(objective="cd"), bits, moment) == {}
    state = {"chains": torch.ones((5, V)).double()}
    after = machine.step({"x": all_bits(V)}, state, RbmConfig(objective="pcd"), moment).state
    assert after["chains"].shape == (5, V)
    assert not torch.equal(after["chains"], state["chains"])


@pytest.mark.parametrize("seed", range(2))
def test_annealing_finds_the_partition_function_between_its_bounds(machine, seed):
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        machine.weights.mul_(1.5)  # and a path from the wrong bits, so that it is far from slow
    exact = exact_ln_partition(machine)
    p = (-machine.energy(all_bits(V))).softmax(0).detach()
    end = all_bits(V)[torch.multinomial(p, 400, replacement=True, generator=generator)]
    found = annealed_ln_partition(path_to(machine, 1 - end.mean(0)), end, generator, n_rungs=12, n_samples=20)
    assert found.forward.value.item() == pytest.approx(exact, abs=4 * found.forward.error.item())
    assert found.both.value.item() == pytest.approx(exact, abs=4 * found.both.error.item())
    assert found.integral.value.item() == pytest.approx(exact, abs=4 * found.integral.error.item() + 5e-3)
    assert found.integral.lower < exact < found.integral.upper
    assert found.forward.bound < exact
    assert found.both.hysteresis > 0


def test_estimate_of_annealing_comes_with_the_error_it_has(machine):
    """Over repetitions the deviation from the exact value is as large as the errors say."""
    generator = torch.Generator().manual_seed(5)
    exact = exact_ln_partition(machine)
    p = (-machine.energy(all_bits(V))).softmax(0).detach()
    scores = []
    for _ in range(20):
        end = all_bits(V)[torch.multinomial(p, 100, replacement=True, generator=generator)]
        sizes = {"n_rungs": 20, "n_integral": 2, "n_equilibration": 1, "n_samples": 1}
        found = annealed_ln_partition(path_to(machine, p @ all_bits(V)), end, generator, **sizes)
        scores.append((found.both.value.item() - exact) / found.both.error.item())
    assert 0.5 < torch.tensor(scores).square().mean().sqrt() < 1.6
