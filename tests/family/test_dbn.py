"""Deep belief networks, against enumeration of all hidden states of small ones."""

import pytest
import torch

from molebm.family.dbn import DbnConfig, DeepBeliefNetwork, hidden_energy
from molebm.family.fine_tuning import fine_tune
from molebm.family.interface import Moment
from molebm.family.rbm_partition import all_bits, exact_ln_partition
from molebm.family.run import FamilyRun

V, H, T = 5, 4, 3
CPU = torch.device("cpu")


def network(*sizes, seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        made = DeepBeliefNetwork(list(sizes)).double()
        for parameter in made.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return made.requires_grad_(False)


def tied(made):
    """Let the second machine be the first one upside down, so that the network is that machine."""
    first, second = made.machines
    second.weights.copy_(first.weights.T)
    second.visible_bias.copy_(first.hidden_bias)
    second.hidden_bias.copy_(first.visible_bias)
    return made


def minus_ln_p(made):
    """-ln p(v) of all v, by the sum over all h of the first layer."""
    first, second = made.machines
    v, h = all_bits(V), all_bits(H)
    ln_top = -second.energy(h) - exact_ln_partition(second)
    of_v = first.visible_given(h)  # (2^H, V)
    ln_v = v @ of_v.log().T + (1 - v) @ (1 - of_v).log().T
    return -(ln_v + ln_top).logsumexp(1)


def test_energy_of_one_layer_is_the_free_energy():
    made = network(V, H)
    torch.testing.assert_close(made.energy(all_bits(V)), made.machines[0].energy(all_bits(V)))


def test_network_with_its_second_machine_upside_down_is_its_first():
    made = tied(network(V, H, V))
    torch.testing.assert_close(made.energy(all_bits(V)), made.machines[0].energy(all_bits(V)))
    torch.testing.assert_close(minus_ln_p(made).neg().exp().sum(), torch.tensor(1.0).double())


def test_hidden_energy_has_the_visible_bits_summed_out():
    machine = network(V, H).machines[0]
    v, h = all_bits(V), all_bits(H)
    joint = machine.joint_energy(v.repeat(len(h), 1), h.repeat_interleave(len(v), dim=0)).view(len(h), len(v))
    torch.testing.assert_close(hidden_energy(machine, h), -(-joint).logsumexp(1))


def test_energy_is_a_bound_on_minus_the_logarithm_of_the_probability():
    """With the expectation over hidden bits summed exactly it is one; the samples of the energy estimate that."""
    made = network(V, H, T)
    first, second = made.machines
    v, h = all_bits(V), all_bits(H)
    q = first.hidden_given(v)
    share = (h @ q.log().T + (1 - h) @ (1 - q).log().T).exp().T  # (2^V, 2^H)
    exact = first.energy(v) + share @ (second.energy(h) - hidden_energy(first, h))
    assert (exact + exact_ln_partition(second) >= minus_ln_p(made)).all()
    spread = (share @ (second.energy(h) - hidden_energy(first, h)).square()).sqrt()
    assert ((made.energy(v) - exact).abs() < 4 * spread / len(made.noise) ** 0.5).all()


def test_energy_does_not_depend_on_the_company():
    made = network(V, H, T)
    torch.testing.assert_close(made.energy(all_bits(V))[7:8], made.energy(all_bits(V)[7:8]))


def test_samples_from_the_top_down_are_those_of_the_network():
    made, n = network(V, H, T), 40_000
    drawn = made.sample(n, 20, torch.Generator().manual_seed(0))
    found = torch.bincount((drawn @ (2.0 ** torch.arange(V - 1, -1, -1)).double()).long(), minlength=2**V) / n
    exact = minus_ln_p(made).neg().exp()
    assert ((found - exact).abs() <= 5 * (exact * (1 - exact) / n).sqrt() + 1 / n).all()


def test_layers_are_trained_one_after_the_other(bits):
    config = DbnConfig(layers=(6, 3), updates=20, batch_size=16, chains=8, objective="pcd")
    run = FamilyRun(DeepBeliefNetwork, config, bits, CPU)
    below, above = (machine.weights for machine in run.model.machines)
    before = above.detach().clone()
    for _ in range(10):
        run.advance()
    assert torch.equal(above, before)
    stopped = below.detach().clone()
    for _ in range(10):
        run.advance()
    assert torch.equal(below, stopped) and not torch.equal(above, before)


def test_features_are_the_up_pass(bits):
    made = network(12, 4, 3).float()
    x = bits.tensors["x"].float()
    h = made.machines[0].hidden_given(x)
    torch.testing.assert_close(made.features(x), torch.cat([h, made.machines[1].hidden_given(h)], 1))


def test_fine_tuning_learns_what_the_bits_say_and_leaves_the_network_as_it_is(bits):
    made = network(12, 6).float()
    before = made.machines[0].weights.clone()
    x = bits.tensors["x"].float()
    y = x[:, 0] - x[:, 7]
    y = (y - y.mean()) / y.std()
    tuned = fine_tune(made, x[:90], y[:90], epochs=300, rates=(1e-2, 1e-2))
    error = (tuned(x[90:]) - y[90:]).square().mean()
    assert error < 0.3
    assert torch.equal(made.machines[0].weights, before)


@pytest.mark.parametrize("objective", ["cd", "pcd"])
def test_state_is_the_chains_of_every_layer(bits, objective):
    config = DbnConfig(layers=(6, 3), chains=8, objective=objective)
    made = DeepBeliefNetwork([12, 6, 3])
    state = made.begin(config, bits, Moment(0.0, torch.Generator().manual_seed(0)))
    shapes = {name: tuple(value.shape) for name, value in state.items()}
    assert shapes == ({"chains.0": (8, 12), "chains.1": (8, 6)} if objective == "pcd" else {})
