"""Each defect of coordinates, bonds and angles changes what it says and nothing else."""

import numpy as np
import pytest
from rigid_moves import angle_degrees
from structure_changes import (
    SMALL,
    changed_angles,
    changed_bonds,
    changed_torsions,
    coordinates,
    distances,
    embedded,
    rng,
)
from structure_defects import (
    bent_angle,
    bent_triple_bond,
    displaced_side,
    noise,
    scaled,
    sheared,
    squashed,
    stretched_bond,
    stretched_hydrogen,
    tilted_hydrogen,
)


def test_noise_has_its_standard_deviation():
    mol = embedded("CCCCCCCC")
    moved = coordinates(noise(mol, 0.1, rng()).mol) - coordinates(mol)
    assert moved.std() == pytest.approx(0.1, rel=4 / np.sqrt(2 * moved.size))


@pytest.mark.parametrize("by", [-0.2, 0.3])
def test_one_bond_is_stretched(by):
    mol = embedded("CC(=O)Nc1ccccc1")
    for seed in range(5):
        defect = stretched_bond(mol, by, rng(seed))
        assert changed_bonds(mol, defect.mol) == {frozenset(defect.atoms): pytest.approx(by)}
        assert not changed_angles(mol, defect.mol)
        assert not changed_torsions(mol, defect.mol)
        assert not mol.GetBondBetweenAtoms(*defect.atoms).IsInRing()


def test_one_hydrogen_is_stretched():
    mol = embedded("CO")
    defect = stretched_hydrogen(mol, 0.2, rng())
    assert changed_bonds(mol, defect.mol) == {frozenset(defect.atoms): pytest.approx(0.2)}
    assert not changed_angles(mol, defect.mol)
    moved = np.abs(coordinates(defect.mol) - coordinates(mol)).max(axis=1) > SMALL
    assert np.flatnonzero(moved).tolist() == [defect.atoms[1]]
    assert mol.GetAtomWithIdx(defect.atoms[1]).GetAtomicNum() == 1


def test_one_hydrogen_is_tilted_and_keeps_its_bond():
    mol = embedded("CO")
    defect = tilted_hydrogen(mol, 20, rng())
    bearer, hydrogen = defect.atoms
    assert not changed_bonds(mol, defect.mol)
    before, after = (coordinates(m)[hydrogen] - coordinates(m)[bearer] for m in (mol, defect.mol))
    assert np.degrees(np.arccos(before @ after / (before @ before))) == pytest.approx(20)
    moved = np.abs(coordinates(defect.mol) - coordinates(mol)).max(axis=1) > SMALL
    assert np.flatnonzero(moved).tolist() == [hydrogen]


def test_molecule_is_squashed_along_its_shortest_axis_alone():
    mol = embedded("CCCC(C)CO")
    spreads = [
        np.linalg.svd(coordinates(m) - coordinates(m).mean(axis=0))[1] for m in (mol, squashed(mol, 0.2, rng()).mol)
    ]
    assert spreads[1] / spreads[0] == pytest.approx([1, 1, 0.8])


def test_molecule_is_sheared_along_one_axis():
    mol = embedded("CCCC(C)CO")
    step = coordinates(sheared(mol, 0.1, rng()).mol) - coordinates(mol)
    strain = np.linalg.lstsq(coordinates(mol) - coordinates(mol).mean(axis=0), step, rcond=None)[0]
    assert np.linalg.svd(strain)[1] == pytest.approx([0.1, 0, 0], abs=1e-9)
    assert np.trace(strain) == pytest.approx(0, abs=1e-9)


def test_one_side_of_a_bond_is_displaced_at_right_angles():
    mol = embedded("CCCOC")
    defect = displaced_side(mol, 0.3, rng())
    stay, move = defect.atoms
    step = coordinates(defect.mol) - coordinates(mol)
    between = step[move] - step[stay]
    assert np.linalg.norm(between) == pytest.approx(0.3)
    assert between @ (coordinates(mol)[move] - coordinates(mol)[stay]) == pytest.approx(0, abs=1e-9)
    assert set(changed_bonds(mol, defect.mol)) == {frozenset(defect.atoms)}


@pytest.mark.parametrize("by", [-20, 20])
@pytest.mark.parametrize("smiles", ["CCCOC", "Cc1ccccc1CC"])
def test_one_angle_opens_by_its_degrees_and_only_angles_beside_it_follow(smiles, by):
    mol = embedded(smiles)
    for seed in range(5):
        defect = bent_angle(mol, by, rng(seed))
        i, j, k = defect.atoms
        change = angle_degrees(coordinates(defect.mol), i, j, k) - angle_degrees(coordinates(mol), i, j, k)
        assert change == pytest.approx(by)
        assert not changed_bonds(mol, defect.mol)
        assert all(a[1] == j and k in a for a in changed_angles(mol, defect.mol))


@pytest.mark.parametrize("smiles", ["CCC#CC", "CCC#N", "C#CC"])
def test_triple_bond_is_bent_to_its_angle_and_nothing_else(smiles):
    mol = embedded(smiles)
    for seed in range(3):
        defect = bent_triple_bond(mol, 20, rng(seed))
        assert angle_degrees(coordinates(defect.mol), *defect.atoms) == pytest.approx(160)
        assert not changed_bonds(mol, defect.mol)
        assert {frozenset(a) for a in changed_angles(mol, defect.mol)} == {frozenset(defect.atoms)}


def test_angle_on_one_line_is_left_to_the_triple_bonds():
    assert bent_angle(embedded("CC#CC"), -20, rng()) is None


def test_a_triple_bond_already_on_one_line_bends_too():
    mol = embedded("CC#N")
    x = coordinates(mol)
    x[:3] = [[-1.46, 0, 0], [0, 0, 0], [1.16, 0, 0]]
    mol.GetConformer().SetPositions(x)
    defect = bent_triple_bond(mol, 30, rng())
    assert angle_degrees(coordinates(defect.mol), *defect.atoms) == pytest.approx(150)


def test_every_distance_scales_alike():
    mol = embedded("CCO")
    assert distances(scaled(mol, 0.03, rng()).mol) == pytest.approx(1.03 * distances(mol))
