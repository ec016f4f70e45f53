"""Replica exchange in OpenMM: each temperature keeps its own Boltzmann distribution."""

import numpy as np
import openmm
import pytest

from molebm.errors import MoleculeError, RequestError
from molebm.references.openmm_exchange import replica_exchange
from molebm.units import thermal_energy

K = 20.0  # kcal/mol/Å²
RUN = {
    "n_frames": 400,
    "ps_between_frames": 0.2,
    "ps_between_swaps": 0.1,
    "equilibration_ps": 2.0,
    "time_step_fs": 5.0,
    "friction": 20.0,
    "platform": "Reference",
}


def oscillators(n: int) -> openmm.System:
    """Independent atoms on springs to the origin, ½ k r²: 3n harmonic degrees of freedom."""
    system = openmm.System()
    force = openmm.CustomExternalForce(f"{K * 4.184 * 100 / 2}*(x^2+y^2+z^2)")
    for index in range(n):
        system.addParticle(12.0)
        force.addParticle(index)
    system.addForce(force)
    return system


def test_every_temperature_has_its_own_mean_energy():
    """<E> = 3n kT/2 with variance 3n (kT)²/2; frames decorrelate within about one, so half of them count."""
    n, temperatures = 4, (300.0, 500.0, 800.0)
    frames = list(replica_exchange(oscillators(n), np.ones((n, 3)), temperatures=temperatures, seed=3, **RUN))
    energies = np.array([[rung.energy for rung in frame.rungs] for frame in frames])
    for column, temperature in zip(energies.T, temperatures, strict=True):
        kT = thermal_energy(temperature)
        error = kT * (3 * n / 2) ** 0.5 / (len(frames) / 2) ** 0.5
        assert column.mean() == pytest.approx(3 * n * kT / 2, abs=4 * error)
    assert ((frames[-1].acceptance > 0.1) & (frames[-1].acceptance < 0.95)).all()


def test_energies_and_forces_are_those_of_the_positions():
    system = oscillators(1)
    frames = list(
        replica_exchange(system, np.ones((1, 3)), temperatures=[300.0, 400.0], seed=1, **RUN | {"n_frames": 2})
    )
    for rung in frames[-1].rungs:
        assert np.abs(rung.positions).max() < 1e-6  # one atom lies at its own centre
        assert rung.energy == pytest.approx(np.square(rung.forces).sum() / (2 * K), rel=1e-4)


def test_a_seed_gives_the_same_bits_on_the_reference_platform():
    def energies(seed: int) -> list[float]:
        run = replica_exchange(
            oscillators(2), np.ones((2, 3)), temperatures=[300.0, 400.0], seed=seed, **RUN | {"n_frames": 3}
        )
        return [rung.energy for frame in run for rung in frame.rungs]

    assert energies(1) == energies(1)
    assert energies(1) != energies(2)


def test_an_explosion_is_told():
    run = replica_exchange(oscillators(1), np.ones((1, 3)), temperatures=[300.0], seed=1, **RUN | {"time_step_fs": 100})
    with pytest.raises(MoleculeError, match="time step|stopped"):
        list(run)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"temperatures": [400.0, 300.0]}, "rise"),
        ({"temperatures": []}, "rise"),
        ({"ps_between_swaps": 0.001}, "one step"),
        ({"ps_between_frames": 0.01}, "every 0.01 ps"),
    ],
)
def test_a_ladder_that_cannot_be_is_refused(change, said):
    with pytest.raises(RequestError, match=said):
        replica_exchange(oscillators(1), np.ones((1, 3)), **{"temperatures": [300.0], "seed": 1} | RUN | change)


def test_another_number_of_atoms_is_refused():
    with pytest.raises(RequestError, match="2 particles and the start 1 atoms"):
        replica_exchange(oscillators(2), np.ones((1, 3)), temperatures=[300.0], seed=1, **RUN)
