import math

import pytest
import torch

from molebm.samplers.baoab import baoab
from molebm.samplers.metropolis import Proposal, choose, metropolis


def one_to_the_right(positions, generator):
    """A proposal that shows what the test does with it; it is never undone, so it samples nothing."""
    return Proposal(positions + 1, torch.zeros(1, positions.shape[-1], dtype=torch.int64))


@pytest.fixture
def slope(make_topology):
    topology = make_topology(1)
    return topology, lambda x: topology.sum_atoms(x[0])


def test_uphill_is_accepted_with_the_boltzmann_factor_of_the_step(slope, generator):
    topology, energy_fn = slope
    n, kT = 20000, torch.tensor([0.5, 2.0]).repeat_interleave(20000)
    sampler = metropolis(energy_fn, topology, one_to_the_right)
    state, info = sampler.step(sampler.init(torch.zeros(3, 1, 2 * n)), kT, generator)
    chance = (-1 / kT).exp()[None]
    torch.testing.assert_close(info.acceptance, chance)
    standard_error = (chance * (1 - chance) / n).sqrt()[0, [0, -1]]
    rate = info.accepted.double().view(2, n).mean(1)
    assert ((rate - chance[0, [0, -1]]).abs() <= 4 * standard_error).all()
    assert torch.equal(state.positions[0, 0], info.accepted[0].float())


def test_downhill_is_always_accepted(slope, generator):
    topology, _ = slope
    sampler = metropolis(lambda x: -topology.sum_atoms(x[0]), topology, one_to_the_right)
    state, info = sampler.step(sampler.init(torch.zeros(3, 1, 9)), 0.6, generator)
    assert info.accepted.all() and (state.positions == 1).all()
    assert (state.energy == -1).all() and (state.forces[0] == 1).all()


@pytest.mark.parametrize("energy", [math.nan, math.inf, -math.inf])
def test_proposal_that_is_not_finite_is_rejected(make_topology, generator, energy):
    topology = make_topology(1)
    sampler = metropolis(lambda x: torch.where(x[0] > 0, energy, x[0]), topology, one_to_the_right)
    state, info = sampler.step(sampler.init(torch.zeros(3, 1, 5)), 1.0, generator)
    assert not info.accepted.any() and (info.acceptance == 0).all()
    assert torch.equal(state.positions, torch.zeros(3, 1, 5)) and torch.equal(state.energy, torch.zeros(1, 5))


def test_proposal_with_broken_forces_is_rejected(make_topology, generator):
    """Else dynamics could never leave it."""
    topology = make_topology(1)
    sampler = metropolis(lambda x: ((x[0] - 1).abs()).sqrt(), topology, one_to_the_right)  # a cusp at the end
    _, info = sampler.step(sampler.init(torch.zeros(3, 1, 5)), 1.0, generator)
    assert not info.accepted.any()


def test_molecule_without_a_move_is_never_accepted(slope, generator):
    topology, energy_fn = slope
    none = metropolis(energy_fn, topology, lambda x, _: Proposal(x, torch.full((1, x.shape[-1]), -1)))
    _, info = none.step(none.init(torch.zeros(3, 1, 5)), 1.0, generator)
    assert not info.accepted.any() and (info.acceptance == 0).all()


def test_velocities_are_kept(make_topology, slope, generator):
    topology, energy_fn = slope
    state = baoab(energy_fn, topology, masses=torch.ones(1), time_step=1.0).init(torch.zeros(3, 1, 50))
    state = state._replace(velocities=torch.randn(3, 1, 50, generator=generator))
    moved, info = metropolis(energy_fn, topology, one_to_the_right).step(state, 1.0, generator)
    assert info.accepted.any() and not info.accepted.all()
    assert torch.equal(moved.velocities, state.velocities)


def test_each_molecule_chooses_evenly_among_its_own_moves(make_topology, generator):
    topology, n = make_topology(1, 1, 1, 1), 10000
    chosen = choose(torch.tensor([0, 0, 0, 2, 3, 3]), topology, torch.zeros(3, 4, n), generator)
    assert (chosen[1] == -1).all() and (chosen[2] == 3).all()
    for rows, molecule in (([0, 1, 2], 0), ([4, 5], 3)):
        rate = torch.tensor([(chosen[molecule] == row).double().mean() for row in rows])
        standard_error = (1 / len(rows) * (1 - 1 / len(rows)) / n) ** 0.5
        assert rate.sum() == 1
        torch.testing.assert_close(rate, torch.full_like(rate, 1 / len(rows)), atol=4 * standard_error, rtol=0)
    together = torch.bincount(3 * (chosen[3] - 4) + chosen[0], minlength=6) / n  # molecules choose independently
    assert ((together - 1 / 6).abs() <= 4 * (5 / 36 / n) ** 0.5).all()
