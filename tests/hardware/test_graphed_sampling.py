"""Sampling with recorded steps, from tensors alone: nothing here needs a chemistry package."""

import pytest
import torch

from molebm.samplers.baoab import baoab
from molebm.samplers.graphed import graphed
from molebm.topology import ATOM_FEATURE_SIZES, BOND_FEATURE_SIZES, Topology

STIFFNESS, KT = 2.0, 0.6  # kcal/mol/Å², kcal/mol


def atoms(n: int) -> Topology:
    """As many atoms, each a molecule, with nothing between them."""
    none = {rows: torch.empty((rows, 0), dtype=torch.int64) for rows in (2, 3, 4)}
    empty = torch.empty(0, dtype=torch.int64)
    return Topology(
        atomic_numbers=torch.ones(n, dtype=torch.int64),
        formal_charges=torch.zeros(n, dtype=torch.int64),
        atom_features=torch.zeros((len(ATOM_FEATURE_SIZES), n), dtype=torch.int64),
        molecule=torch.arange(n),
        bonds=none[2],
        bond_features=torch.empty((len(BOND_FEATURE_SIZES), 0), dtype=torch.int64),
        angles=none[3],
        angle_bonds=none[2],
        torsions=none[4],
        torsion_bonds=none[3],
        impropers=none[4],
        pairs=none[2],
        pairs_14=torch.empty(0, dtype=torch.bool),
        stereo_centres=none[4],
        stereo_signs=empty,
        stereo_bonds=none[4],
        stereo_cis=torch.empty(0, dtype=torch.bool),
        n_molecules=n,
    )


@pytest.mark.parametrize("device", ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)])
def test_recorded_steps_sample_the_harmonic_oscillator(device):
    """BAOAB's positions are exact: <x²> = kT/k."""
    topology = atoms(4).to(device)

    def energy(x: torch.Tensor) -> torch.Tensor:
        return STIFFNESS / 2 * x.square().sum(0)

    masses = torch.full((4,), 12.0, device=device)
    sampler = baoab(energy, topology, masses=masses, time_step=5.0, friction=20.0)
    generator = torch.Generator(device).manual_seed(0)
    state = sampler.init(torch.zeros(3, 4, 1024, device=device))
    recorded = graphed(sampler, state, generator=generator)
    for _ in range(600):
        state, _ = recorded.step(state, KT, generator)
    ratio = state.positions.square().mean().item() * STIFFNESS / KT
    assert ratio == pytest.approx(1, abs=4 * (2 / state.positions.numel()) ** 0.5)


def test_without_a_gpu_the_sampler_is_returned_as_it_is():
    topology = atoms(1)
    sampler = baoab(lambda x: x.square().sum(0), topology, masses=torch.ones(1), time_step=1.0)
    state = sampler.init(torch.zeros(3, 1, 1))
    assert graphed(sampler, state, generator=torch.Generator()) is sampler
