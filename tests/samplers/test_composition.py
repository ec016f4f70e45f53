import math

import pytest
import torch

from molebm.errors import RequestError
from molebm.forcefield.geometry import torsion_angle
from molebm.samplers.baoab import baoab
from molebm.samplers.composition import cycle, mixture, repeated
from molebm.samplers.mala import mala
from molebm.samplers.run import sample
from molebm.samplers.sampler import Sampler
from molebm.samplers.tempering import parallel_tempering
from molebm.samplers.torsion_rotation import torsion_rotation


def writing(letter: str) -> Sampler:
    return Sampler(lambda positions: "", lambda state, kT, generator: (state + letter, letter.upper()))


def test_cycle_takes_each_in_turn_and_keeps_what_each_says(generator):
    states = list(sample(cycle(writing("a"), writing("b")), "", kT=1.0, n_steps=2, generator=generator))
    assert states == [("ab", ("A", "B")), ("abab", ("A", "B"))]


def test_repeated_sampler_makes_several_steps_in_one(generator):
    sampler = cycle(repeated(writing("a"), 3), writing("b"))
    assert next(sample(sampler, "", kT=1.0, n_steps=1, generator=generator)) == ("aaab", ("A", "B"))
    with pytest.raises(RequestError, match="1 or more times, not 0"):
        repeated(writing("a"), 0)


def test_mixture_draws_each_by_its_weight(generator):
    n, sampler = 4000, mixture([writing("a"), writing("b"), writing("c")], [1.0, 0.0, 3.0])
    *_, (state, _) = sample(sampler, "", kT=1.0, n_steps=n, generator=generator)
    assert "b" not in state and len(state) == n
    assert state.count("c") / n == pytest.approx(0.75, abs=4 * (0.75 * 0.25 / n) ** 0.5)
    info = sampler.step("", 1.0, generator)[1]
    assert info.inner == "ABC"[info.chosen]


@pytest.mark.parametrize("weights", [[1.0], [1.0, -0.5], [0.0, 0.0], [1.0, math.nan]])
def test_weights_that_are_no_chances_are_refused(weights):
    with pytest.raises(RequestError, match="2 samplers cannot be mixed"):
        mixture([writing("a"), writing("b")], weights)


@pytest.mark.parametrize("dynamics", ["mala", "baoab"])
@pytest.mark.parametrize("combine", ["cycle", "mixture"])
def test_torsions_are_those_of_quadrature_at_every_temperature_of_a_ladder(
    four_beads, four_beads_start, generator, dynamics, combine
):
    """Dynamics and moves, in turn or by chance, swapped between temperatures: φ is distributed as exp(-V/kT)."""
    topology, energy_fn, of_torsion = four_beads
    ladder, n_chains = torch.tensor([0.6, 1.2]), 500
    inner = {
        "mala": mala(energy_fn, topology, step_size=4e-4),
        "baoab": baoab(energy_fn, topology, masses=torch.full((4,), 12.0), time_step=2.0, friction=10.0),
    }[dynamics]
    move = torsion_rotation(energy_fn, topology)
    joined = cycle(repeated(inner, 2), move) if combine == "cycle" else mixture([inner, move], [0.6, 0.4])
    sampler = parallel_tempering(joined, topology, n_temperatures=2, steps_per_swap=2 if combine == "cycle" else 5)
    state = sampler.init(four_beads_start(2 * n_chains))
    kT = ladder.repeat_interleave(n_chains)
    *_, (state, _) = sample(sampler, state, kT=kT, n_steps=15, generator=generator)
    angles = torsion_angle(state.positions, torch.tensor([[0], [1], [2], [3]])).double().view(2, n_chains)
    grid = torch.linspace(-math.pi, math.pi, 3601, dtype=torch.float64)
    edges = torch.linspace(-math.pi, math.pi, 4, dtype=torch.float64)  # the wells: gauche, trans in two halves
    for temperature, phi in zip(ladder.tolist(), angles, strict=True):
        expected = torch.histogram(grid, bins=edges, weight=(-of_torsion(grid) / temperature).exp()).hist
        expected /= expected.sum()
        observed = torch.histogram(phi, bins=edges).hist / n_chains
        standard_error = (expected * (1 - expected) / n_chains).sqrt()
        assert ((observed - expected).abs() <= 4 * standard_error + 2 / n_chains).all(), temperature
