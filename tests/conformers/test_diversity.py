import itertools

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.conformers.diversity import diverse_conformers, farthest_first, medoids
from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.symmetry import symmetry
from molebm.errors import RequestError


def scattered(n: int, seed: int = 0) -> np.ndarray:
    """Distances among random points of a plane, (n, n)."""
    points = np.random.default_rng(seed).normal(size=(n, 2))
    return np.linalg.norm(points[:, None] - points, axis=2)


def total(distances: np.ndarray, chosen: np.ndarray, weights: np.ndarray) -> float:
    return float((weights * distances[chosen].min(axis=0)).sum())


@pytest.mark.parametrize("seed", range(4))
def test_choice_gains_nearly_what_the_best_gains(seed):
    """Greedy choice is promised 1 - 1/e of the gain over the first alone; moving to the middle only adds."""
    distances = scattered(14, seed)
    weights = np.random.default_rng(seed + 10).uniform(size=14)
    best = min(total(distances, np.array([0, *c]), weights) for c in itertools.combinations(range(1, 14), 3))
    alone = total(distances, np.array([0]), weights)
    gained = alone - total(distances, medoids(distances, 4, weights=weights), weights)
    assert gained >= 0.9 * (alone - best)
    assert gained >= (1 - 1 / np.e) * (alone - best)


def test_sums_that_are_kept_up_are_those_made_anew():
    """Each choice is the one that lowers the sum most, seen from scratch."""
    distances = scattered(60).astype(np.float32)
    chosen = [0]
    for _ in range(5):
        chosen.append(min(range(60), key=lambda j: np.minimum(distances[chosen].min(0), distances[j]).sum()))
    uniform = np.ones(60)
    assert total(distances, medoids(distances, 6), uniform) <= total(distances, np.array(chosen), uniform) + 1e-4


def test_first_is_always_among_the_chosen_and_none_twice():
    chosen = medoids(scattered(40), 10, first=7)
    assert chosen[0] == 7
    assert len(set(chosen.tolist())) == 10
    assert sorted(medoids(scattered(5), 9).tolist()) == [0, 1, 2, 3, 4]
    assert sorted(medoids(np.zeros((4, 4)), 3).tolist())[:1] == [0]  # all the same, and yet three are given


def test_weight_draws_the_choice():
    distances = np.abs(np.subtract.outer([0.0, 10.0, 11.0, 20.0], [0.0, 10.0, 11.0, 20.0]))
    assert medoids(distances, 2, weights=np.array([1.0, 1, 1, 100])).tolist() == [0, 3]
    assert medoids(distances, 2, weights=np.array([1.0, 1, 100, 1])).tolist() == [0, 2]


def test_farthest_choice_is_within_twice_the_best_radius():
    distances = scattered(13)
    best = min(distances[[0, *c]].min(axis=0).max() for c in itertools.combinations(range(1, 13), 2))
    assert distances[farthest_first(distances, 3)].min(axis=0).max() <= 2 * best
    assert sorted(farthest_first(distances, 20).tolist()) == list(range(13))


def test_nothing_is_not_a_number_of_conformers():
    for choose in (medoids, farthest_first):
        with pytest.raises(RequestError, match="at least 1"):
            choose(scattered(3), 0)


@pytest.fixture(scope="module")
def pentane() -> tuple[Chem.Mol, np.ndarray]:
    mol = Chem.AddHs(Chem.MolFromSmiles("CCCCCO"))
    parameters = rdDistGeom.ETKDGv3()
    parameters.randomSeed = 3
    rdDistGeom.EmbedMultipleConfs(mol, 60, parameters)
    return mol, np.stack([conformer.GetPositions() for conformer in mol.GetConformers()])


def test_diverse_conformers_come_by_rising_energy_from_the_lowest(pentane):
    mol, positions = pentane
    energies = np.random.default_rng(0).uniform(0, 5, size=len(positions))
    energies[:10] = np.inf
    chosen = diverse_conformers(mol, positions, energies, n_conformers=8)
    assert len(set(chosen)) == 8
    assert chosen[0] == energies.argmin()
    assert (np.diff(energies[chosen]) >= 0).all()
    assert min(chosen) >= 10
    assert energies[diverse_conformers(mol, positions, energies, n_conformers=8, energy_window=2)].max() <= 2.2


def test_diverse_conformers_lie_nearer_to_all_than_the_lowest_do(pentane):
    mol, positions = pentane
    energies = np.arange(len(positions), dtype=float)
    distances = rmsd_matrix(positions, symmetry(mol))
    chosen = diverse_conformers(mol, positions, energies, n_conformers=8)
    assert distances[chosen].min(axis=0).mean() < distances[:8].min(axis=0).mean()


def test_at_a_low_temperature_the_low_conformers_are_covered(pentane):
    mol, positions = pentane
    energies = np.where(np.arange(len(positions)) < 8, 0.0, 5.0)
    cold = diverse_conformers(mol, positions, energies, n_conformers=8, temperature=100.0)
    assert cold == list(range(8))
    assert diverse_conformers(mol, positions, np.full(60, np.inf), n_conformers=8) == []
