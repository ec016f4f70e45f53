import numpy as np
import pytest
from rdkit import Chem

from molebm.conformers.selection import boltzmann_weights, distinct_conformers
from molebm.units import thermal_energy


@pytest.fixture
def chain() -> Chem.Mol:
    """Three carbons, whose hydrogens are left out."""
    return Chem.MolFromSmiles("CCC")


def bent(*angles: float) -> np.ndarray:
    """Chains of three atoms, 1.5 Å bonds, bent by so many degrees; (C, 3, 3) Å."""
    theta = np.radians(angles)
    zero = np.zeros_like(theta)
    return 1.5 * np.stack(
        [
            np.stack([zero + 1, zero, zero], -1),
            np.stack([zero, zero, zero], -1),
            np.stack([np.cos(theta), np.sin(theta), zero], -1),
        ],
        axis=1,
    )


def chosen(mol: Chem.Mol, positions: np.ndarray, energies: list[float], **changes: float) -> list[int]:
    arguments = {"rmsd": 0.1, "energy_window": 10.0, "n_conformers": 20, **changes}
    return distinct_conformers(mol, positions, np.array(energies), **arguments)


def test_lowest_of_each_kind_is_kept_by_rising_energy(chain):
    assert chosen(chain, bent(90, 91, 180, 179), [2.0, 1.0, 0.5, 3.0]) == [2, 1]


def test_threshold_of_zero_keeps_all(chain):
    assert chosen(chain, bent(90, 90), [1.0, 0.0], rmsd=0.0) == [1, 0]


def test_window_begins_at_the_lowest(chain):
    assert chosen(chain, bent(90, 120, 180), [5.0, 7.0, 7.1], energy_window=2.0) == [0, 1]


def test_no_more_than_asked_for(chain):
    assert chosen(chain, bent(90, 120, 180), [3.0, 2.0, 1.0], n_conformers=2) == [2, 1]


def test_invalid_conformers_are_never_chosen(chain):
    assert chosen(chain, bent(90, 180), [np.inf, 1.0]) == [1]
    assert chosen(chain, bent(90, 180), [np.inf, np.inf]) == []


def test_weights_are_those_of_boltzmann():
    weights = boltzmann_weights(np.array([-500.0, -500.0 + thermal_energy(300.0)]), 300.0)
    assert weights.sum() == pytest.approx(1)
    assert weights[0] / weights[1] == pytest.approx(np.e)
