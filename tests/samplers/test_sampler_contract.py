"""What every sampler promises, whatever its algorithm."""

import pytest
import torch

from molebm.forcefield.energy import energy_and_forces
from molebm.samplers.baoab import baoab
from molebm.samplers.capped import CappedForces
from molebm.samplers.composition import cycle, mixture, repeated
from molebm.samplers.mala import mala
from molebm.samplers.ring_flap import ring_flap
from molebm.samplers.ring_inversion import ring_inversion
from molebm.samplers.run import sample
from molebm.samplers.sgld import sgld
from molebm.samplers.tempering import parallel_tempering
from molebm.samplers.torsion_rotation import torsion_rotation

K, KT = 300.0, 0.6
N_CONFORMERS = 6
LADDER = torch.full((N_CONFORMERS,), KT)


def sgld_with_a_cap(energy_fn, topology):
    return sgld(CappedForces(energy_fn, max_force=500.0), topology, step_size=0.5 / K)


def mala_by_itself(energy_fn, topology):
    return mala(energy_fn, topology, step_size=0.5 / K)


def baoab_by_itself(energy_fn, topology):
    return baoab(energy_fn, topology, masses=torch.full((topology.n_atoms,), 12.0), time_step=2.0, friction=50.0)


def tempered_mala(energy_fn, topology):
    return parallel_tempering(mala_by_itself(energy_fn, topology), topology, n_temperatures=2, steps_per_swap=2)


def tempered_baoab(energy_fn, topology):
    return parallel_tempering(baoab_by_itself(energy_fn, topology), topology, n_temperatures=2, steps_per_swap=1)


def moves(energy_fn, topology):
    return cycle(
        torsion_rotation(energy_fn, topology), ring_inversion(energy_fn, topology), ring_flap(energy_fn, topology)
    )


def mala_and_moves(energy_fn, topology):
    return cycle(repeated(mala_by_itself(energy_fn, topology), 2), moves(energy_fn, topology))


def mixed_baoab_and_moves(energy_fn, topology):
    return mixture([baoab_by_itself(energy_fn, topology), moves(energy_fn, topology)], [0.7, 0.3])


def tempered_baoab_and_moves(energy_fn, topology):
    inner = cycle(baoab_by_itself(energy_fn, topology), moves(energy_fn, topology))
    return parallel_tempering(inner, topology, n_temperatures=2, steps_per_swap=1)


@pytest.fixture(
    params=[
        sgld_with_a_cap,
        mala_by_itself,
        baoab_by_itself,
        tempered_mala,
        tempered_baoab,
        moves,
        mala_and_moves,
        mixed_baoab_and_moves,
        tempered_baoab_and_moves,
    ]
)
def make_sampler(request):
    return request.param


@pytest.fixture
def topology(make_topology):
    """A ring that can be inverted, an atom and a chain that can be turned."""
    return make_topology(4, 1, 4, bonds=[(0, 1), (1, 2), (2, 3), (3, 0), (5, 6), (6, 7), (7, 8)])


@pytest.fixture
def start(generator):
    return torch.empty(3, 9, N_CONFORMERS).normal_(std=(KT / K) ** 0.5, generator=generator)


def walk(sampler, start, *, n_steps=20, seed=7, kT=LADDER):
    generator = torch.Generator().manual_seed(seed)
    *_, (state, _) = sample(sampler, sampler.init(start), kT=kT, n_steps=n_steps, generator=generator)
    return state


def test_same_seed_gives_the_same_bits_and_another_seed_does_not(make_sampler, topology, harmonic, start):
    sampler = make_sampler(harmonic(topology, K), topology)
    first, second, other = (walk(sampler, start, seed=seed) for seed in (7, 7, 8))
    assert torch.equal(first.positions, second.positions) and torch.equal(first.energy, second.energy)
    assert not torch.equal(first.positions, other.positions)


def test_global_random_state_is_not_touched(make_sampler, topology, harmonic, start):
    before = torch.get_rng_state()
    walk(make_sampler(harmonic(topology, K), topology), start)
    assert torch.equal(torch.get_rng_state(), before)


def test_state_carries_the_energy_and_forces_of_its_positions(make_sampler, topology, harmonic, start):
    energy_fn = harmonic(topology, K)
    state = walk(make_sampler(energy_fn, topology), start)
    energy, forces = energy_and_forces(energy_fn, state.positions)
    torch.testing.assert_close(state.energy, energy)
    torch.testing.assert_close(getattr(state, "replicas", state).forces, forces)


def test_step_does_not_write_into_the_state_it_was_given(make_sampler, topology, harmonic, start):
    sampler = make_sampler(harmonic(topology, K), topology)
    state = walk(sampler, start)
    inner = getattr(state, "replicas", state)
    copies = [value.clone() for value in inner]
    sampler.step(state, LADDER, torch.Generator().manual_seed(1))
    assert all(torch.equal(value, copy) for value, copy in zip(inner, copies, strict=True))


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), 1e30])
def test_exploding_conformer_shows_in_its_energy_and_does_not_touch_its_neighbours(
    make_sampler, topology, harmonic, start, broken
):
    """One atom of one conformer is flung away; all else follows the same path, bit for bit."""
    sampler = make_sampler(harmonic(topology, K), topology)
    spoilt = start.clone()
    spoilt[0, 1, 4] = broken
    good, bad = walk(sampler, start), walk(sampler, spoilt)
    lost = ~bad.energy.isfinite()
    assert lost.sum() == 1 and lost[0].any()
    healthy = ~lost
    if hasattr(good, "identity"):  # the lost replica takes no part in swaps, so its partners' paths differ
        healthy[0, [1, 4]] = False
    assert torch.equal(bad.energy[healthy], good.energy[healthy])
    atoms = healthy[topology.molecule]
    assert torch.equal(bad.positions[:, atoms], good.positions[:, atoms])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_dtype_of_the_positions_is_kept_whatever_that_of_kT(make_sampler, topology, harmonic, start, dtype):
    for kT_dtype in (torch.float32, torch.float64):
        kT = torch.full((N_CONFORMERS,), KT, dtype=kT_dtype)
        state = walk(make_sampler(harmonic(topology, K), topology), start.to(dtype), n_steps=3, kT=kT)
        assert state.positions.dtype == state.energy.dtype == dtype
        assert all(value.dtype == dtype for value in getattr(state, "replicas", state))


@pytest.mark.parametrize("shape", [(N_CONFORMERS,), (1, N_CONFORMERS), (3, 1), (3, N_CONFORMERS)])
def test_kT_of_any_shape_that_broadcasts_means_the_same(make_sampler, topology, harmonic, start, shape):
    sampler = make_sampler(harmonic(topology, K), topology)
    expected, state = walk(sampler, start), walk(sampler, start, kT=torch.full(shape, KT))
    torch.testing.assert_close(state.positions, expected.positions)


@pytest.mark.gpu
def test_every_sampler_runs_on_a_gpu(make_sampler, topology, harmonic, start):
    device = "cuda"
    topology = topology.to(device)
    sampler = make_sampler(harmonic(topology, K), topology)
    generator = torch.Generator(device).manual_seed(7)
    kT = torch.full((N_CONFORMERS,), KT, device=device)
    *_, (state, _) = sample(sampler, sampler.init(start.to(device)), kT=kT, n_steps=5, generator=generator)
    assert state.positions.device.type == device and state.energy.isfinite().all()
