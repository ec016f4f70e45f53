import numpy as np
import pytest
from rdkit import Chem

from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.selection import distinct_conformers
from molebm.conformers.symmetry import symmetry


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


def test_choice_is_that_of_comparing_one_by_one():
    """Candidates are compared in blocks; the lowest that is apart from all chosen comes next, whatever the block."""
    mol = Chem.MolFromSmiles("CCCCC")
    rng = np.random.default_rng(0)
    positions = np.cumsum(rng.normal(size=(300, 5, 3)), axis=1)
    energies = rng.uniform(0, 10, size=300)
    distances = rmsd_matrix(positions, symmetry(mol))
    expected: list[int] = []
    for i in np.argsort(energies):
        if not expected or distances[i, expected].min() > 0.4:
            expected.append(int(i))
    assert 64 < len(expected) < 250
    assert chosen(mol, positions, energies.tolist(), rmsd=0.4, n_conformers=1000) == expected
    assert chosen(mol, positions, energies.tolist(), rmsd=0.4, n_conformers=70) == expected[:70]


def test_as_many_as_are_asked_for_come_if_they_are_apart():
    mol = Chem.MolFromSmiles("CCC")
    apart = bent(*np.linspace(60, 180, 100))
    assert len(chosen(mol, apart, [1.0] * 100, rmsd=1e-3, n_conformers=99)) == 99
