import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import rdMolTransforms

from molebm.plausibility import perturbations
from molebm.plausibility.perturbations import N_WAVES, PERTURBATIONS, SHIFTS, SQUEEZES, TILTS, TURNS, perturbed
from tests.plausibility.conftest import embedded

FAMILIES = range(len(PERTURBATIONS))
EXACT = 1e-6  # Å, degrees: rounding


@pytest.fixture(scope="module")
def mol() -> Chem.Mol:
    return embedded("CCC(C)c1ccc(CC(C)C(=O)O)cc1")


def positions(mol: Chem.Mol) -> np.ndarray:
    return mol.GetConformer().GetPositions()


def made(mol: Chem.Mol, change, seed: int) -> np.ndarray:
    """Positions after one perturbation, of the first seed from this one on that has a place for it."""
    found = None
    while found is None:
        found = perturbed(mol, PERTURBATIONS.index(change), np.random.default_rng(seed))
        seed += 1000
    return positions(found)


def lengths(mol: Chem.Mol, x: np.ndarray) -> np.ndarray:
    ends = np.array([(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()])
    return np.linalg.norm(x[ends[:, 0]] - x[ends[:, 1]], axis=1)


def internal(x: np.ndarray, atoms: np.ndarray) -> np.ndarray:
    return np.linalg.norm(x[atoms, None] - x[None, atoms], axis=2)


def moved_atoms(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return np.linalg.norm(after - before, axis=1) > EXACT


@pytest.mark.parametrize("family", FAMILIES)
def test_perturbed_structure_is_the_same_molecule_in_other_finite_places(mol, family):
    before = positions(mol).copy()
    n_moved = 0
    for seed in range(20):
        found = perturbed(mol, family, np.random.default_rng(seed))
        if found is None:
            continue
        assert (
            Chem.MolToMolBlock(found).splitlines()[-mol.GetNumBonds() - 1 :]
            == (Chem.MolToMolBlock(mol).splitlines()[-mol.GetNumBonds() - 1 :])
        )
        assert [a.GetChiralTag() for a in found.GetAtoms()] == [a.GetChiralTag() for a in mol.GetAtoms()]
        assert np.isfinite(positions(found)).all()
        n_moved += moved_atoms(before, positions(found)).any()
    np.testing.assert_array_equal(positions(mol), before)
    assert n_moved > 10


@pytest.mark.parametrize("family", FAMILIES)
def test_perturbation_follows_from_its_seed(mol, family):
    one, same, other = (made(mol, PERTURBATIONS[family], seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert np.abs(one - other).max() > EXACT


@pytest.mark.parametrize("seed", range(5))
def test_moved_atom_takes_its_hydrogens_along(mol, seed):
    before, after = positions(mol), made(mol, perturbations.moved_atom, seed)
    (group,) = np.nonzero(moved_atoms(before, after))
    heavy = [int(atom) for atom in group if mol.GetAtomWithIdx(int(atom)).GetAtomicNum() > 1]
    assert len(heavy) == 1
    assert {n.GetIdx() for n in mol.GetAtomWithIdx(heavy[0]).GetNeighbors() if n.GetAtomicNum() == 1} == {*group} - {
        *heavy
    }
    shifts = (after - before)[group]
    np.testing.assert_allclose(shifts, np.broadcast_to(shifts[0], shifts.shape), atol=EXACT)
    assert SHIFTS[0] <= np.linalg.norm(shifts[0]) <= SHIFTS[1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("change", [perturbations.moved_side, perturbations.tilted_side, perturbations.turned_side])
def test_sides_of_a_bond_move_as_wholes(mol, change, seed):
    before, after = positions(mol), made(mol, change, seed)
    moving = moved_atoms(before, after)
    for side in (np.flatnonzero(moving), np.flatnonzero(~moving)):
        np.testing.assert_allclose(internal(after, side), internal(before, side), atol=EXACT)
    n_changed = (np.abs(lengths(mol, after) - lengths(mol, before)) > EXACT).sum()
    assert n_changed == (change is perturbations.moved_side)


@pytest.mark.parametrize("seed", range(5))
def test_tilted_side_swings_about_the_atom_that_stays_by_no_more_than_its_angle(mol, seed):
    before, after = positions(mol), made(mol, perturbations.tilted_side, seed)
    moving = moved_atoms(before, after)
    (ends,) = [
        pair
        for bond in mol.GetBonds()
        if moving[(pair := (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()))[0]] != moving[pair[1]]
    ]
    stays, carries = sorted(ends, key=lambda atom: moving[atom])
    arms = [(x[carries] - x[stays]) / np.linalg.norm(x[carries] - x[stays]) for x in (before, after)]
    assert 0 < np.degrees(np.arccos(arms[0] @ arms[1])) <= TILTS[1] + EXACT


@pytest.mark.parametrize("seed", range(5))
def test_turned_side_changes_torsions_about_one_bond_alone(mol, seed):
    before, after = (Chem.Mol(mol) for _ in range(2))
    after.GetConformer().SetPositions(made(mol, perturbations.turned_side, seed))
    middles = set()
    paths = [tuple(path) for path in mol.GetSubstructMatches(Chem.MolFromSmarts("*~*~*~*"), maxMatches=10000)]
    for path in paths:
        first, last = (rdMolTransforms.GetDihedralDeg(x.GetConformer(), *path) for x in (before, after))
        by = abs((last - first + 180) % 360 - 180)
        if by > 1e-3:
            middles.add(frozenset(path[1:3]))
            assert TURNS[0] - 1e-3 <= by <= TURNS[1]
    assert len(middles) == 1
    for x in (before, after):
        angles = [rdMolTransforms.GetAngleDeg(x.GetConformer(), *path[:3]) for path in paths]
        x.SetDoubleProp("sum", float(np.sum(angles)))
    assert after.GetDoubleProp("sum") == pytest.approx(before.GetDoubleProp("sum"), abs=1e-6 * len(paths))


@pytest.mark.parametrize("seed", range(5))
def test_squeezed_ring_is_smaller_and_what_hangs_on_it_is_as_it_was(mol, seed):
    before, after = positions(mol), made(mol, perturbations.squeezed_ring, seed)
    ring = list(mol.GetRingInfo().AtomRings()[0])
    radii = [np.linalg.norm(x[ring] - x[ring].mean(axis=0)) for x in (before, after)]
    assert (1 - SQUEEZES[1]) * radii[0] - EXACT <= radii[1] < radii[0]
    changed = np.abs(lengths(mol, after) - lengths(mol, before)) > EXACT
    in_ring = np.array([bond.IsInRing() for bond in mol.GetBonds()])
    assert not changed[~in_ring].any()
    assert changed[in_ring].any()


def test_warped_structure_bends_by_no_more_than_its_waves_and_smoothly(mol):
    before, after = positions(mol), made(mol, perturbations.warped, 0)
    shift = after - before
    assert moved_atoms(before, after).all()
    assert np.linalg.norm(shift, axis=1).max() <= N_WAVES * SHIFTS[1]
    steepest = N_WAVES * SHIFTS[1] * 2 * np.pi / perturbations.WAVE_LENGTHS[0]
    for bond in mol.GetBonds():
        i, j = bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()
        assert np.linalg.norm(shift[i] - shift[j]) <= steepest * np.linalg.norm(before[i] - before[j])


@pytest.mark.parametrize(
    ("smiles", "change"),
    [
        ("CCC", perturbations.squeezed_ring),
        ("c1ccccc1", perturbations.moved_side),
        ("c1ccccc1", perturbations.tilted_side),
        ("C", perturbations.turned_side),
        ("O=C=O", perturbations.turned_side),
        ("[H][H]", perturbations.moved_atom),
    ],
)
def test_molecule_without_a_place_for_a_perturbation_has_none(smiles, change):
    mol = embedded(smiles, relaxed=False)
    assert all(perturbed(mol, PERTURBATIONS.index(change), np.random.default_rng(seed)) is None for seed in range(5))


def test_sizes_are_drawn_over_all_orders_of_magnitude_alike(mol):
    sizes = []
    for seed in range(400):
        shift = made(mol, perturbations.moved_atom, seed) - positions(mol)
        sizes.append(np.log(np.linalg.norm(shift, axis=1).max()))
    low, high = np.log(SHIFTS)
    quarters = np.histogram(sizes, bins=np.linspace(low - EXACT, high + EXACT, 5))[0]
    assert (np.abs(quarters - 100) < 4 * (400 * 0.25 * 0.75) ** 0.5).all()
