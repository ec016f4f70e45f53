import math

import pytest
import torch

from molebm.forcefield.energy import EnergyForces
from molebm.samplers.capped import CappedForces
from molebm.samplers.mala import mala
from molebm.samplers.run import sample


@pytest.mark.parametrize("step_times_curvature", [0.2, 1.0, 1.5])
def test_mala_leaves_the_harmonic_oscillator_exactly_as_it_is(make_topology, harmonic, generator, step_times_curvature):
    """<x²> = kT/k at any step size; the variance of the estimate fixes the tolerance."""
    topology, k, kT = make_topology(1, 2), 300.0, 0.6
    sampler = mala(harmonic(topology, k), topology, step_size=step_times_curvature / k)
    state = sampler.init(torch.empty(3, 3, 8000).normal_(std=(kT / k) ** 0.5, generator=generator))
    *_, (state, info) = sample(sampler, state, kT=kT, n_steps=60, generator=generator)
    assert 0.2 < info.acceptance.mean() < 0.999  # the test would be empty if nothing or everything were accepted
    standard_error = (2 / state.positions.numel()) ** 0.5
    assert state.positions.square().mean() * k / kT == pytest.approx(1, abs=4 * standard_error)


@pytest.mark.parametrize("start", [0.0, 0.1])
def test_mala_finds_the_harmonic_distribution_from_a_wrong_start(make_topology, harmonic, generator, start):
    topology, k, kT = make_topology(1, 2), 300.0, 0.6
    sampler = mala(harmonic(topology, k), topology, step_size=0.5 / k)
    state = sampler.init(torch.full((3, 3, 8000), start))
    *_, (state, _) = sample(sampler, state, kT=kT, n_steps=80, generator=generator)
    standard_error = (2 / state.positions.numel()) ** 0.5
    assert state.positions.square().mean() * k / kT == pytest.approx(1, abs=4 * standard_error)


def test_mala_agrees_with_quadrature_in_a_double_well(make_topology, double_well, double_well_bins, generator):
    topology, barrier, kT = make_topology(1), 1.2, 0.6
    sampler = mala(double_well(topology, barrier), topology, step_size=0.1)
    state = sampler.init(torch.zeros(3, 1, 10000).uniform_(-1, 1, generator=generator))
    *_, (state, info) = sample(sampler, state, kT=kT, n_steps=300, generator=generator)
    assert 0.3 < info.acceptance.mean() < 0.95  # the test would be empty if every proposal were accepted
    edges, expected = double_well_bins(barrier, kT)
    observed = torch.histogram(state.positions[0].double().flatten(), bins=edges).hist / 10000
    standard_error = (expected * (1 - expected) / 10000).sqrt()
    assert ((observed - expected).abs() <= 4 * standard_error).all()


def test_acceptance_is_the_metropolis_hastings_ratio_of_the_paper(make_topology, double_well):
    r"""min(1, π(x')q(x|x') / π(x)q(x'|x)), with both proposal densities written out."""
    topology, kT, step = make_topology(1, 2), torch.tensor([0.4, 0.9, 1.7] * 8, dtype=torch.float64), 0.15
    energy_fn = double_well(topology, 1.5)
    sampler = mala(energy_fn, topology, step_size=step)
    start = 0.5 * torch.randn(3, 3, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    start[0] += 1
    old = sampler.init(start)
    noise = torch.empty_like(start).normal_(generator=torch.Generator().manual_seed(2))
    new = sampler.init(start + step * old.forces + (2 * step * kT).sqrt() * noise)
    _, info = sampler.step(old, kT, torch.Generator().manual_seed(2))

    def log_q(to, origin):
        return -topology.sum_atoms((to.positions - origin.positions - step * origin.forces).square().sum(0)) / (
            4 * step * kT
        )

    log_ratio = (old.energy - new.energy) / kT + log_q(old, new) - log_q(new, old)
    torch.testing.assert_close(info.acceptance, log_ratio.exp().clamp(max=1))
    assert (info.acceptance < 0.5).any() and (info.acceptance == 1).any()


def test_capping_the_drift_leaves_mala_exact(make_topology, harmonic, generator):
    topology, k, kT = make_topology(2), 300.0, 0.6
    typical_force = (3 * kT * k) ** 0.5
    energy_fn = CappedForces(harmonic(topology, k), max_force=0.5 * typical_force)
    sampler = mala(energy_fn, topology, step_size=0.5 / k)
    state = sampler.init(torch.zeros(3, 2, 10000))
    *_, (state, _) = sample(sampler, state, kT=kT, n_steps=100, generator=generator)
    standard_error = (2 / state.positions.numel()) ** 0.5
    assert state.positions.square().mean() * k / kT == pytest.approx(1, abs=4 * standard_error)


@pytest.mark.parametrize("energy, force", [(math.nan, 0.0), (math.inf, 0.0), (-math.inf, 0.0), (0.0, math.nan)])
def test_proposal_that_is_not_finite_is_rejected(make_topology, generator, energy, force):
    """Everywhere but at the start the energy or the force is broken, so the chain must not move."""
    topology = make_topology(1)

    class BrokenAwayFromTheOrigin:
        def energy_and_forces(self, x):
            moved = (x != 0).any(0)
            return EnergyForces(torch.where(moved, energy, 0.0), torch.where(moved, force, 0.0).expand_as(x))

    sampler = mala(BrokenAwayFromTheOrigin(), topology, step_size=0.1)
    state, info = sampler.step(sampler.init(torch.zeros(3, 1, 5)), 1.0, generator)
    assert not info.accepted.any() and (info.acceptance == 0).all()
    assert torch.equal(state.positions, torch.zeros(3, 1, 5)) and torch.equal(state.energy, torch.zeros(1, 5))


def test_conformers_of_a_molecule_and_molecules_of_a_batch_are_judged_apart(make_topology, harmonic, generator):
    topology, k, kT = make_topology(1, 3), 300.0, 0.6
    sampler = mala(harmonic(topology, k), topology, step_size=1.2 / k)
    start = torch.empty(3, 4, 200).normal_(std=(kT / k) ** 0.5, generator=generator)
    state, info = sampler.step(sampler.init(start), kT, generator)
    moved = (state.positions != start).any(0)  # (4, 200)
    assert torch.equal(moved, info.accepted[topology.molecule])
    both = info.accepted.unique(dim=1).shape[1]
    assert both == 4  # accepted and rejected in every combination of the two molecules
