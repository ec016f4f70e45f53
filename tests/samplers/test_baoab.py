import math

import pytest
import torch

from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.run import sample
from molebm.units import ACCELERATION, thermal_energy

KT = thermal_energy(300)


@pytest.mark.parametrize("frequency", [0.2, 1.0, 1.7])  # per fs
def test_positions_of_a_harmonic_oscillator_are_exact_at_any_stable_step(make_topology, harmonic, generator, frequency):
    """<x²> = kT/k whatever ωΔt < 2, while <v²> = kT/m (1 - (ωΔt)²/4): Leimkuhler and Matthews, 2013."""
    topology, masses = make_topology(1, 1), torch.tensor([1.0, 1.0])
    k = frequency**2 / ACCELERATION
    sampler = baoab(harmonic(topology, k), topology, masses=masses, time_step=1.0, friction=300.0)
    state = sampler.init(torch.zeros(3, 2, 5000))
    *_, (state, info) = sample(sampler, state, kT=KT, n_steps=100, generator=generator)
    standard_error = (2 / state.positions.numel()) ** 0.5
    assert state.positions.square().mean() * k / KT == pytest.approx(1, abs=4 * standard_error)
    bias = 1 - frequency**2 / 4
    assert state.velocities.square().mean() / (KT * ACCELERATION * bias) == pytest.approx(1, abs=4 * standard_error)
    assert info.kinetic_temperature.mean() / (300 * bias) == pytest.approx(1, abs=4 * standard_error)


def test_masses_change_the_motion_but_not_the_distribution(make_topology, harmonic, generator):
    topology, masses, k = make_topology(3), torch.tensor([1.008, 3.0, 15.999]), 500.0
    sampler = baoab(harmonic(topology, k), topology, masses=masses, time_step=2.0, friction=100.0)
    state = sampler.init(torch.zeros(3, 3, 2000))
    *_, (state, _) = sample(sampler, state, kT=KT, n_steps=150, generator=generator)
    standard_error = (2 / state.positions[:, 0].numel()) ** 0.5
    variance = state.positions.square().mean((0, 2)) * k / KT  # (3,) one per mass
    torch.testing.assert_close(variance, torch.ones(3), atol=4 * standard_error, rtol=0)


def test_each_conformer_and_molecule_has_the_temperature_it_was_given(make_topology, harmonic, generator):
    topology, k = make_topology(2, 1), 50.0
    kT = torch.tensor([[0.3], [1.2]]) * torch.tensor([1.0, 3.0]).repeat_interleave(3000)  # (G, C)
    sampler = baoab(harmonic(topology, k), topology, masses=torch.ones(3), time_step=1.0, friction=200.0)
    state = sampler.init(torch.zeros(3, 3, 6000))
    *_, (state, info) = sample(sampler, state, kT=kT, n_steps=150, generator=generator)
    per_dimension = (2 * state.energy / kT / torch.tensor([[6.0], [3.0]])).view(2, 2, -1).mean(2)
    standard_error = (2 / (3 * 3000)) ** 0.5
    torch.testing.assert_close(per_dimension, torch.ones(2, 2), atol=4 * standard_error, rtol=0)
    kinetic = (info.kinetic_temperature / (kT / thermal_energy(1))).view(2, 2, -1).mean(2)
    torch.testing.assert_close(kinetic, torch.ones(2, 2), atol=4 * standard_error + 0.006, rtol=0)  # (ωΔt)²/4 = 0.5 %


def test_constant_force_gives_newtons_parabola(make_topology, generator):
    """10 kcal/mol/Å on 2 amu for 100 fs: x = F t²/2m, v = F t/m, in Å and fs."""
    topology = make_topology(1)
    sampler = baoab(lambda x: -10 * x[0], topology, masses=torch.tensor([2.0]), time_step=1.0, friction=0.0)
    *_, (state, _) = sample(sampler, sampler.init(torch.zeros(3, 1, 1)), kT=KT, n_steps=100, generator=generator)
    assert state.positions.flatten().tolist() == pytest.approx([10 * 4.184e-4 / 2 * 100**2 / 2, 0, 0], rel=1e-5)
    assert state.velocities.flatten().tolist() == pytest.approx([10 * 4.184e-4 / 2 * 100, 0, 0], rel=1e-5)


def test_friction_is_per_picosecond(make_topology, harmonic, generator):
    topology = make_topology(1)
    sampler = baoab(harmonic(topology, 0.0), topology, masses=torch.ones(1), time_step=2.0, friction=5.0)
    state = sampler.init(torch.zeros(3, 1, 1))._replace(velocities=torch.ones(3, 1, 1))
    *_, (state, _) = sample(sampler, state, kT=0.0, n_steps=50, generator=generator)
    assert state.velocities.flatten().tolist() == pytest.approx([math.exp(-5.0 * 0.1)] * 3, rel=1e-5)


def test_without_friction_the_energy_error_falls_with_the_square_of_the_step(make_topology, harmonic, generator):
    topology, masses, k = make_topology(1), torch.ones(1, dtype=torch.float64), 500.0

    def worst_error(time_step: float) -> float:
        sampler = baoab(harmonic(topology, k), topology, masses=masses, time_step=time_step, friction=0.0)
        state = sampler.init(torch.full((3, 1, 1), 0.1, dtype=torch.float64))
        start = state.energy.item()
        chain = sample(sampler, state, kT=KT, n_steps=int(400 / time_step), generator=generator)
        kinetic = [(s.energy + s.velocities.square().sum() / (2 * ACCELERATION)).item() for s, _ in chain]
        return max(abs(e - start) for e in kinetic)

    assert worst_error(1.0) / worst_error(0.5) == pytest.approx(4, rel=0.1)


def test_maxwell_boltzmann_velocities_have_the_temperature_asked_for(make_topology, generator):
    topology, masses = make_topology(1, 1), torch.tensor([1.008, 35.45])
    velocities = maxwell_boltzmann(topology, masses, torch.zeros(3, 2, 20000), kT=KT, generator=generator)
    twice_kinetic = masses * velocities.square().mean((0, 2)) / ACCELERATION
    standard_error = (2 / (3 * 20000)) ** 0.5
    torch.testing.assert_close(twice_kinetic / KT, torch.ones(2), atol=4 * standard_error, rtol=0)
