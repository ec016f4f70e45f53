import pytest
import torch

from molebm.errors import RequestError
from molebm.samplers.run import anneal, sample
from molebm.samplers.sampler import Sampler
from molebm.samplers.sgld import sgld

COUNTING = Sampler(init=lambda positions: 0, step=lambda state, kT, generator: (state + 1, kT))


def test_every_thinth_state_is_yielded(generator):
    assert list(sample(COUNTING, 0, kT=0.6, n_steps=7, generator=generator, thin=3)) == [(3, 0.6), (6, 0.6)]


def test_chain_goes_no_further_than_it_is_asked(generator):
    """A generator does no work ahead of its caller, so a chain can be stopped for good at any sample."""
    taken = []
    watched = Sampler(init=None, step=lambda state, kT, generator: (taken.append(state), (state + 1, None))[1])
    chain = sample(watched, 0, kT=0.6, n_steps=1000, generator=generator)
    next(chain), next(chain)
    assert taken == [0, 1]


def test_annealing_visits_each_kT_of_the_schedule_in_turn(generator):
    states = list(anneal(COUNTING, 0, schedule=[2.0, 1.0, 0.5], steps_per_kT=4, generator=generator))
    assert states == [(4, 2.0), (8, 1.0), (12, 0.5)]


@pytest.mark.parametrize("thin", [0, -1])
def test_thinning_by_less_than_one_is_refused(generator, thin):
    with pytest.raises(RequestError, match="thin"):
        next(sample(COUNTING, 0, kT=0.6, n_steps=7, generator=generator, thin=thin))


def test_annealing_without_steps_is_refused(generator):
    with pytest.raises(RequestError, match="steps_per_kT"):
        next(anneal(COUNTING, 0, schedule=[1.0], steps_per_kT=0, generator=generator))


def test_cooling_ends_at_the_last_temperature(make_topology, harmonic, generator):
    topology, k = make_topology(2), 100.0
    sampler = sgld(harmonic(topology, k), topology, step_size=0.1 / k)
    state = sampler.init(torch.zeros(3, 2, 5000))
    *_, (state, _) = anneal(sampler, state, schedule=[3.0, 1.0, 0.3], steps_per_kT=60, generator=generator)
    expected = 0.3 / k / (1 - 0.05)
    standard_error = (2 / state.positions.numel()) ** 0.5
    assert state.positions.square().mean() / expected == pytest.approx(1, abs=4 * standard_error)
