"""An `openmm.System` as an energy function: its units stop at the border."""

import openmm
import pytest
import torch

from molebm.errors import RequestError
from molebm.forcefield.energy import energy_and_forces
from molebm.references.openmm_energy import OpenMMEnergy

K = 100.0  # kcal/mol/Å²
LENGTH = 1.5  # Å


def spring() -> openmm.System:
    """Two particles, ½ k (r - r0)²: OpenMM wants kJ/mol/nm² and nm."""
    system = openmm.System()
    system.addParticle(12.0)
    system.addParticle(1.0)
    force = openmm.HarmonicBondForce()
    force.addBond(0, 1, LENGTH / 10, K * 4.184 * 100)
    system.addForce(force)
    return system


def at_distances(*distances: float, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    x = torch.zeros(3, 2, len(distances), dtype=dtype)
    x[2, 1] = torch.tensor(distances, dtype=dtype)
    return x


@pytest.mark.parametrize("platform", ["Reference", "CPU", None])
def test_energy_and_forces_are_in_kcal_per_mol_and_angstrom(platform):
    energy, forces = OpenMMEnergy(spring(), platform=platform).energy_and_forces(at_distances(1.5, 1.7))
    assert energy.tolist() == [pytest.approx([0.0, K / 2 * 0.2**2], abs=1e-6)]
    assert forces[2, :, 1].tolist() == pytest.approx([K * 0.2, -K * 0.2], rel=1e-5)
    assert forces[:2].abs().max() == 0


def test_gradient_of_the_energy_is_minus_the_forces():
    energy_fn = OpenMMEnergy(spring(), platform="Reference")
    x = at_distances(1.3, 1.7, 2.0)
    torch.testing.assert_close(energy_and_forces(energy_fn.__call__, x), energy_fn.energy_and_forces(x))


def test_constraints_and_massless_particles_do_not_enter():
    system = spring()
    system.setParticleMass(0, 0.0)
    assert OpenMMEnergy(system, platform="Reference")(at_distances(1.7)).item() == pytest.approx(K / 2 * 0.2**2)


def test_positions_of_another_system_are_refused():
    with pytest.raises(RequestError, match="2 particles and the positions 3"):
        OpenMMEnergy(spring(), platform="Reference")(torch.zeros(3, 3, 1))


def test_unknown_platform_is_named_with_those_there_are():
    with pytest.raises(RequestError, match=r"'GPU'.*Reference"):
        OpenMMEnergy(spring(), platform="GPU")


def test_precision_is_refused_where_there_is_none_to_choose():
    with pytest.raises(RequestError, match="Reference has no choice of precision"):
        OpenMMEnergy(spring(), platform="Reference", precision="mixed")


def test_system_that_cannot_run_says_why():
    system = spring()
    system.addForce(openmm.CustomExternalForce("no such thing"))
    with pytest.raises(RequestError, match="cannot run this system on the platform Reference"):
        OpenMMEnergy(system, platform="Reference")


@pytest.mark.gpu
@pytest.mark.parametrize("precision", ["single", "mixed", "double"])
def test_gpu_agrees_with_the_reference(precision):
    x = at_distances(1.2, 1.7)
    theirs = OpenMMEnergy(spring(), platform="CUDA", precision=precision).energy_and_forces(x)
    ours = OpenMMEnergy(spring(), platform="Reference").energy_and_forces(x)
    torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)
