"""Langevin ensembles from OpenMM: they are at their temperature, repeatable, and say when they blow up."""

import itertools
from functools import cache

import openmm
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import MoleculeError, RequestError
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.references.mmff import mmff_parameters
from molebm.references.openmm_export import openmm_system
from molebm.references.openmm_md import langevin_ensemble
from molebm.units import ACCELERATION, thermal_energy


def wells(n_particles: int, stiffness: float, mass: float = 12.0) -> openmm.System:
    """Independent particles with two wells each, ½ k (|x| - 3)² + ½ k (y² + z²), k in kcal/mol/Å²."""
    system = openmm.System()
    force = openmm.CustomExternalForce(f"4.184*{stiffness}/2*((10*abs(x)-3)^2+100*y^2+100*z^2)")
    for index in range(n_particles):
        system.addParticle(mass)
        force.addParticle(index, [])
    system.addForce(force)
    return system


@cache
def water_mol() -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles("O"))
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    rdForceFieldHelpers.MMFFOptimizeMolecule(mol)
    return mol


def water() -> openmm.System:
    topology = topology_from_mol(water_mol())
    return openmm_system(topology, mmff_parameters(water_mol(), topology), torch.tensor([15.999, 1.008, 1.008]))


def start() -> torch.Tensor:
    """Water at its minimum, (3, 3, 1)."""
    return positions_from_mol(water_mol(), torch.float64)


def test_harmonic_particles_have_half_kT_in_each_direction_around_where_they_started():
    """Exact at any stable time step; the friction is critical, so frames some periods apart are independent."""
    n_particles, stiffness, mass, temperature = 20, 20.0, 12.0, 300.0
    omega = (stiffness * ACCELERATION / mass) ** 0.5  # 1/fs
    x = torch.zeros(3, n_particles, 2, dtype=torch.float64)
    x[0] = torch.tensor([-3.0, 3.0])
    frames = torch.stack(
        list(
            langevin_ensemble(
                wells(n_particles, stiffness, mass),
                x,
                temperature=temperature,
                n_frames=60,
                ps_between_frames=8 / omega * 1e-3,
                time_step_fs=0.25 / omega,
                friction=2 * omega * 1e3,
                seed=4,
                platform="Reference",
            )
        ),
        dim=-1,
    )  # (3, N, 2, frames)
    assert (frames[0, :, 0] < 0).all()
    assert (frames[0, :, 1] > 0).all()
    energy_over_kT = stiffness / 2 * (frames - x[..., None]).square() / thermal_energy(temperature)
    standard_error = (0.5 / energy_over_kT.numel()) ** 0.5
    assert energy_over_kT.mean().item() == pytest.approx(0.5, abs=4 * standard_error)


def test_water_is_at_its_temperature():
    """<|∇E|²> = kT <∇²E>, anharmonic as water is; how the trajectories scatter fixes the tolerance."""
    mol = water_mol()
    topology = topology_from_mol(mol)
    energy_fn = MechanicalEnergy(topology, mmff_parameters(mol, topology))
    n_trajectories, temperature = 16, 300.0
    frames = langevin_ensemble(
        water(),
        start().expand(3, 3, n_trajectories),
        temperature=temperature,
        n_frames=60,
        ps_between_frames=0.02,
        equilibration_ps=0.2,
        friction=40.0,
        seed=1,
        platform="Reference",
    )
    x = torch.cat(list(frames), dim=2)  # (3, 3, 60 * C)
    energy, forces = energy_fn.energy_and_forces(x)
    step = 1e-3  # Å
    shifts = step * torch.eye(9, dtype=x.dtype).reshape(9, 3, 3, 1)
    laplacian = sum(energy_fn(x + d) + energy_fn(x - d) - 2 * energy for d in shifts)[0] / step**2
    square = forces.square().sum((0, 1))
    kT = square.reshape(60, -1).mean(0) / laplacian.reshape(60, -1).mean(0)  # (C,) independent estimates
    standard_error = kT.std().item() / n_trajectories**0.5
    assert standard_error < 0.05 * thermal_energy(temperature)
    assert kT.mean().item() == pytest.approx(thermal_energy(temperature), abs=4 * standard_error)


def ensemble(seed: int, **changed: object) -> torch.Tensor:
    request = {
        "temperature": 300.0,
        "n_frames": 3,
        "ps_between_frames": 0.01,
        "equilibration_ps": 0.01,
        "platform": "Reference",
    }
    positions = start().expand(3, 3, 2)
    return torch.stack(list(langevin_ensemble(water(), positions, seed=seed, **(request | changed))))


@pytest.mark.parametrize("seed", [0, 1, 2**40])
def test_same_seed_gives_the_same_bits(seed):
    assert torch.equal(ensemble(seed), ensemble(seed))


def test_other_seeds_and_other_trajectories_differ():
    first, second = ensemble(1), ensemble(2)
    assert not torch.equal(first, second)
    assert not torch.equal(first[..., 0], first[..., 1])


def test_frames_come_one_at_a_time_in_the_type_of_the_positions():
    endless = langevin_ensemble(
        water(), start().float(), temperature=300, n_frames=10**9, ps_between_frames=0.01, seed=1, platform="Reference"
    )
    frames = list(itertools.islice(endless, 2))
    assert [frame.shape for frame in frames] == [(3, 3, 1)] * 2
    assert frames[0].dtype == torch.float32
    assert not torch.equal(*frames)


def test_centre_of_mass_is_free():
    """It takes part in the heat bath, and drifts."""
    frames = ensemble(1)
    assert not torch.equal(frames[0].mean(1), frames[-1].mean(1))


def test_trajectory_that_blows_up_is_named():
    positions = torch.cat([start(), start() * 1e-3], dim=2)
    with pytest.raises(MoleculeError, match=r"trajectory 1 .*shorter time step"):
        list(
            langevin_ensemble(
                water(),
                positions,
                temperature=300,
                n_frames=1,
                ps_between_frames=0.1,
                time_step_fs=20,
                equilibration_ps=0,
                seed=1,
                platform="Reference",
            )
        )


def test_bad_requests_are_refused_before_anything_runs():
    with pytest.raises(RequestError, match="less than one step of 1.0 fs"):
        langevin_ensemble(water(), start(), temperature=300, n_frames=1, ps_between_frames=1e-4, seed=1)
    with pytest.raises(RequestError, match="3 particles and the positions 2"):
        langevin_ensemble(water(), start()[:, :2], temperature=300, n_frames=1, ps_between_frames=1, seed=1)
