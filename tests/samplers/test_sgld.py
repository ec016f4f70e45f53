import pytest
import torch

from molebm.samplers.capped import CappedForces, capped_forces
from molebm.samplers.run import sample
from molebm.samplers.sgld import sgld


@pytest.mark.parametrize("step_times_curvature", [0.1, 0.5, 1.2])
def test_variance_is_too_large_by_the_known_bias_of_the_unadjusted_algorithm(
    make_topology, harmonic, generator, step_times_curvature
):
    """<x²> = (kT/k) / (1 - αk/2): not the Boltzmann variance, and not anything else."""
    topology, k, kT = make_topology(1, 2), 300.0, 0.6
    sampler = sgld(harmonic(topology, k), topology, step_size=step_times_curvature / k)
    state = sampler.init(torch.zeros(3, 3, 8000))
    *_, (state, _) = sample(sampler, state, kT=kT, n_steps=60, generator=generator)
    expected = kT / k / (1 - step_times_curvature / 2)
    standard_error = (2 / state.positions.numel()) ** 0.5
    assert state.positions.square().mean() / expected == pytest.approx(1, abs=4 * standard_error)


def test_without_heat_a_step_goes_down_the_gradient(make_topology, harmonic, generator):
    topology = make_topology(2)
    sampler = sgld(harmonic(topology, 10.0), topology, step_size=0.01)
    start = torch.randn(3, 2, 4, generator=generator)
    state, _ = sampler.step(sampler.init(start), 0.0, generator)
    torch.testing.assert_close(state.positions, start * (1 - 0.01 * 10))


def test_free_atoms_diffuse_by_twice_the_step_size_times_kT(make_topology, harmonic, generator):
    topology, kT = make_topology(1), torch.tensor([0.3, 0.6, 2.4]).repeat_interleave(20000)
    sampler = sgld(harmonic(topology, 0.0), topology, step_size=2e-4)
    state, _ = sampler.step(sampler.init(torch.zeros(3, 1, len(kT))), kT, generator)
    ratio = (state.positions.square() / (2 * 2e-4 * kT)).view(3, 3, -1).mean((0, 2))
    standard_error = (2 / (3 * 20000)) ** 0.5
    torch.testing.assert_close(ratio, torch.ones(3), atol=4 * standard_error, rtol=0)


def test_capped_drift_moves_no_atom_further_than_asked_and_keeps_its_direction(make_topology, harmonic, generator):
    topology = make_topology(2)
    energy_fn = harmonic(topology, 1e6)
    sampler = sgld(capped_forces(energy_fn, max_displacement=0.1, step_size=2e-4), topology, step_size=2e-4)
    start = torch.randn(3, 2, 50, generator=generator)
    state, _ = sampler.step(sampler.init(start), 0.0, generator)
    moved = state.positions - start
    torch.testing.assert_close(moved, -0.1 * start / start.norm(dim=0))
    torch.testing.assert_close(state.energy, energy_fn(state.positions))


def test_cap_leaves_small_and_zero_forces_alone(make_topology, harmonic):
    topology = make_topology(2)
    energy_fn = harmonic(topology, 1.0)
    positions = torch.tensor([[[0.0], [0.5]], [[0.0], [0.0]], [[0.0], [-0.5]]])
    forces = CappedForces(energy_fn, max_force=10.0).energy_and_forces(positions).forces
    assert torch.equal(forces, -positions)
