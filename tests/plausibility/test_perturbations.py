import numpy as np
import pytest

from molebm.plausibility.parts import parts_of
from molebm.plausibility.perturbations import MOVES, perturbations
from tests.plausibility.conftest import embedded

DRUG = "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)NC2CCCCC2"
RIGID = ("side_tilted", "side_turned", "bond_tilted")  # what they move, they turn about an atom that is bonded


def lengths(mol, x: np.ndarray) -> np.ndarray:
    ends = np.array([(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in mol.GetBonds()])
    return np.linalg.norm(x[ends[:, 0]] - x[ends[:, 1]], axis=1)


@pytest.fixture(scope="module")
def drug():
    return embedded(DRUG, relaxed=False)


@pytest.mark.parametrize("move", MOVES, ids=lambda move: move.__name__.lstrip("_"))
def test_every_move_moves_some_atoms_and_leaves_what_it_was_given(drug, move):
    x = drug.GetConformer().GetPositions()
    before = x.copy()
    moved = move(x, parts_of(drug), np.random.default_rng(0))
    np.testing.assert_array_equal(x, before)
    assert moved.shape == x.shape
    assert 0.01 < np.abs(moved - x).max() < 20
    if move.__name__.lstrip("_") in RIGID:
        np.testing.assert_allclose(lengths(drug, moved), lengths(drug, x), atol=1e-9)


def test_strained_ring_keeps_its_heights():
    mol = embedded("c1ccccc1", relaxed=False)
    x = mol.GetConformer().GetPositions()
    (strained,) = (move for move in MOVES if move.__name__ == "_ring_strained")
    normal = np.linalg.svd(x[:6] - x[:6].mean(axis=0))[2][2]
    for seed in range(5):
        step = strained(x, parts_of(mol), np.random.default_rng(seed)) - x
        np.testing.assert_allclose(step @ normal, 0, atol=1e-9)
        assert np.abs(step[:6]).max(axis=1).min() > 1e-4


def test_chance_alone_decides(drug):
    x, parts = drug.GetConformer().GetPositions(), parts_of(drug)
    one, again, other = (dict(perturbations(x, parts, 1, np.random.default_rng(seed))) for seed in (1, 1, 2))
    for move, positions in one.items():
        np.testing.assert_array_equal(positions, again[move])
        assert np.abs(positions - other[move]).max() > 0.001


def test_every_move_is_made_equally_often_but_where_it_finds_no_place(drug):
    found = perturbations(drug.GetConformer().GetPositions(), parts_of(drug), 9, np.random.default_rng(0))
    counts = np.bincount([move for move, _ in found], minlength=len(MOVES))
    assert counts.min() > 0
    assert (counts == 9).sum() >= len(MOVES) - 2


@pytest.mark.parametrize("smiles", ["C", "O", "[H][H]", "C#C", "C1CC1"])
def test_smallest_molecules_are_perturbed_too(smiles):
    mol = embedded(smiles, relaxed=False)
    x, parts = mol.GetConformer().GetPositions(), parts_of(mol)
    found = list(perturbations(x, parts, 10, np.random.default_rng(0)))
    assert len(found) >= 10
    for _, moved in found:
        assert np.isfinite(moved).all()
        assert np.abs(moved - x).max() > 0


def test_parts_are_sides_that_hang_together_and_rings_with_what_they_bear(drug):
    parts = parts_of(drug)
    for stays, moves, atoms in parts.sides:
        assert moves in atoms
        assert stays not in atoms
        assert len(atoms) <= drug.GetNumAtoms() // 2 + 1
    assert sorted(len(ring) for ring in parts.rings) == [6, 6]
    assert sum(map(len, parts.groups)) == drug.GetNumAtoms()


def test_corners_are_the_atoms_of_one_ring_alone_with_what_they_bear():
    parts = parts_of(embedded("Cc1cccc2ccccc12", relaxed=False))
    assert len(parts.corners) == 8
    assert not parts.rings
    assert sorted(map(len, parts.corners)) == [2] * 7 + [5]


def test_what_hangs_from_an_atom_is_all_but_the_largest_side_unless_it_is_in_a_ring():
    ((centre, sides),) = parts_of(embedded("CCC(F)(F)F", relaxed=False)).hanging
    assert centre == 2
    assert sorted(atoms[0] for atoms in sides) == [3, 4, 5]
    ((centre, sides),) = parts_of(embedded("CC1(C)CC1", relaxed=False)).hanging
    assert centre == 1
    assert sorted(atoms[0] for atoms in sides) == [0, 2]
