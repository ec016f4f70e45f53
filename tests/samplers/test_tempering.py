import pytest
import torch

from molebm.errors import RequestError
from molebm.samplers.baoab import baoab
from molebm.samplers.mala import mala
from molebm.samplers.run import sample
from molebm.samplers.sampler import Sampler, State
from molebm.samplers.tempering import geometric_temperatures, parallel_tempering, round_trips


def standing_still(energy_fn) -> Sampler:
    """Never move, so that only the swaps act."""

    def init(positions):
        return State(positions, energy_fn(positions), torch.zeros_like(positions))

    return Sampler(init, lambda state, kT, generator: (state, None))


def left_well(n_conformers):
    positions = torch.zeros(3, 1, n_conformers)
    positions[0] = -1
    return positions


def test_temperatures_rise_by_a_constant_factor():
    assert geometric_temperatures(300.0, 2400.0, 4).tolist() == pytest.approx([300, 600, 1200, 2400])
    assert geometric_temperatures(800.0, 200.0, 3).tolist() == pytest.approx([800, 400, 200])
    assert geometric_temperatures(300.0, 600.0, 1).tolist() == [300]


BARRIER, LADDER, COLDEST_STEP = 3.0, [0.35, 0.8, 2.0], 0.04


@pytest.mark.parametrize("dynamics", ["mala", "baoab"])
def test_every_temperature_agrees_with_quadrature_though_all_start_in_one_well(
    make_topology, double_well, double_well_bins, generator, dynamics
):
    topology, n_chains = make_topology(1), 500
    energy_fn = double_well(topology, BARRIER)
    inner = {
        "mala": mala(energy_fn, topology, step_size=COLDEST_STEP),
        "baoab": baoab(energy_fn, topology, masses=torch.ones(1), time_step=4.0, friction=30.0),
    }[dynamics]
    sampler = parallel_tempering(inner, topology, n_temperatures=3, steps_per_swap=4)
    state = sampler.init(left_well(3 * n_chains))
    kT = torch.tensor(LADDER).repeat_interleave(n_chains)
    *_, (state, _) = sample(sampler, state, kT=kT, n_steps=120, generator=generator)
    for temperature, x in zip(LADDER, state.positions[0].double().view(3, n_chains), strict=True):
        edges, expected = double_well_bins(BARRIER, temperature)
        observed = torch.histogram(x, bins=edges).hist / n_chains
        standard_error = (expected * (1 - expected) / n_chains).sqrt()
        assert ((observed - expected).abs() <= 4 * standard_error + 2 / n_chains).all(), temperature


def test_mala_alone_stays_in_the_well_that_tempering_leaves(make_topology, double_well, generator):
    """The barrier of the test above is real: without help nearly all stay, and a quarter should."""
    topology = make_topology(1)
    sampler = mala(double_well(topology, BARRIER), topology, step_size=COLDEST_STEP)
    *_, (state, _) = sample(sampler, sampler.init(left_well(500)), kT=LADDER[0], n_steps=480, generator=generator)
    assert (state.positions[0] < 0).double().mean() > 0.9


def test_swaps_are_accepted_with_the_metropolis_rule_and_carry_the_whole_replica(make_topology, generator):
    """Two temperatures, one energy gap: swapped down always, swapped up with exp(Δβ ΔE)."""
    topology, n = make_topology(1, 1), 20000
    positions = torch.zeros(3, 2, 2 * n)
    positions[0, 0, :n], positions[0, 0, n:] = 1.0, 2.0  # molecule 0: the colder is lower
    positions[0, 1, :n], positions[0, 1, n:] = 2.0, 1.0  # molecule 1: the colder is higher
    sampler = parallel_tempering(standing_still(lambda x: x[0]), topology, n_temperatures=2, steps_per_swap=1)
    kT = torch.tensor([0.5, 1.0]).repeat_interleave(n)
    state, info = sampler.step(sampler.init(positions), kT, generator)
    chance = torch.tensor(-1.0).exp()  # (1/0.5 - 1/1.0) * (1 - 2)
    torch.testing.assert_close(info.acceptance[0], chance.expand(1, n))
    torch.testing.assert_close(info.acceptance[1], torch.ones(1, n))
    standard_error = (chance * (1 - chance) / n) ** 0.5
    assert info.swapped[0].float().mean() == pytest.approx(chance.item(), abs=4 * standard_error.item())
    assert info.swapped[1].all()
    torch.testing.assert_close(state.energy, state.positions[0])
    swapped = info.swapped[0, 0]
    assert torch.equal(state.positions[0, 0, :n], torch.where(swapped, 2.0, 1.0))
    column = torch.arange(n)
    assert torch.equal(state.identity[0, :n], torch.where(swapped, column + n, column))
    assert torch.equal(state.identity[1], torch.arange(2 * n).roll(n))


def test_velocities_are_rescaled_to_the_temperature_that_a_replica_moves_to(make_topology, harmonic, generator):
    topology = make_topology(2)
    free = baoab(harmonic(topology, 0.0), topology, masses=torch.ones(2), time_step=1.0, friction=0.0)
    sampler = parallel_tempering(free, topology, n_temperatures=2, steps_per_swap=1)
    state = sampler.init(torch.zeros(3, 2, 2))
    velocities = torch.tensor([1.0, 10.0]).expand(3, 2, 2)
    state = state._replace(replicas=state.replicas._replace(velocities=velocities))
    state, info = sampler.step(state, torch.tensor([0.5, 2.0]), generator)
    assert info.swapped.all()  # equal energies
    torch.testing.assert_close(state.replicas.velocities, torch.tensor([5.0, 2.0]).expand(3, 2, 2))


def test_even_and_odd_pairs_take_turns_and_identities_stay_a_permutation(make_topology, harmonic, generator):
    topology = make_topology(1, 2)
    sampler = parallel_tempering(standing_still(harmonic(topology, 0.0)), topology, n_temperatures=5, steps_per_swap=1)
    state, kT = sampler.init(torch.zeros(3, 3, 10)), torch.arange(1.0, 6.0).repeat_interleave(2)
    for n in range(10):
        state, info = sampler.step(state, kT, generator)
        tried = torch.tensor([pair % 2 == n % 2 for pair in range(4)])
        assert torch.equal(info.swapped, tried[None, :, None].expand(2, 4, 2))  # equal energies always swap
        assert torch.equal(state.identity.sort(dim=1).values, torch.arange(10).expand(2, 10))
    assert torch.equal(state.identity % 2, torch.tensor([0, 1]).repeat(5).expand(2, 10))  # chains do not mix


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
def test_replica_without_a_finite_energy_never_swaps(make_topology, generator, broken):
    topology = make_topology(1)
    positions = torch.zeros(3, 1, 2)
    positions[0, 0, 0] = broken
    sampler = parallel_tempering(standing_still(lambda x: x[0]), topology, n_temperatures=2, steps_per_swap=1)
    state, info = sampler.step(sampler.init(positions), torch.tensor([0.5, 1.0]), generator)
    assert not info.swapped.any() and (info.acceptance == 0).all()
    assert torch.equal(state.identity, torch.tensor([[0, 1]]))


def test_round_trip_is_from_the_first_temperature_to_the_last_and_back():
    """One chain, three temperatures; row by row, which replica is at which."""
    identities = torch.tensor([[0, 1, 2], [1, 0, 2], [1, 2, 0], [2, 1, 0], [2, 0, 1], [0, 2, 1], [0, 1, 2]])
    assert round_trips(identities[:, None], n_temperatures=3).tolist() == [[1, 0, 0]]
    assert round_trips(identities[:5, None], n_temperatures=3).tolist() == [[0, 0, 0]]
    twice = torch.cat([identities, identities[1:]])
    assert round_trips(twice[:, None], n_temperatures=3).tolist() == [[2, 1, 1]]


def test_conformers_that_do_not_fill_the_ladder_are_refused(make_topology, harmonic):
    topology = make_topology(1)
    sampler = parallel_tempering(standing_still(harmonic(topology, 1.0)), topology, n_temperatures=3, steps_per_swap=1)
    with pytest.raises(RequestError, match="4 conformers cannot be shared by 3 temperatures"):
        sampler.init(torch.zeros(3, 1, 4))


def test_one_kT_for_all_replicas_is_refused(make_topology, harmonic, generator):
    topology = make_topology(1)
    sampler = parallel_tempering(standing_still(harmonic(topology, 1.0)), topology, n_temperatures=2, steps_per_swap=1)
    with pytest.raises(RequestError, match="one kT per conformer"):
        sampler.step(sampler.init(torch.zeros(3, 1, 4)), 0.6, generator)
