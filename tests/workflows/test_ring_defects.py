"""Each defect of a ring changes what it says and nothing else."""

from itertools import pairwise

import numpy as np
import pytest
from rdkit import Chem
from relaxed_defects import boat_ring
from rigid_moves import plane, torsion_degrees
from ring_defects import (
    alternating_aromatic,
    boat_aromatic,
    bumped_aromatic,
    flattened_ring,
    shifted_in_ring,
    swollen_ring,
    tilted_substituent,
    twisted_aromatic,
)
from structure_changes import SMALL, changed_angles, changed_bonds, coordinates, distances, embedded, rng


def test_aromatic_atom_leaves_the_plane_of_its_ring_with_its_substituent():
    mol = embedded("CCc1ccc2ccccc2c1")
    for seed in range(10):
        defect = bumped_aromatic(mol, 0.4, rng(seed))
        atom = defect.atoms[0]
        rings = [ring for ring in mol.GetRingInfo().AtomRings() if atom in ring]
        assert len(rings) == 1
        apart = distances(defect.mol) - distances(mol)
        moved = np.abs(apart[atom]) < SMALL  # a rigid piece with the atom
        assert np.abs(apart[np.ix_(moved, moved)]).max() < SMALL
        assert np.abs(apart[np.ix_(~moved, ~moved)]).max() < SMALL
        others = [i for i in rings[0] if i != atom]
        centre, normal = plane(coordinates(defect.mol)[others])
        assert abs((coordinates(defect.mol)[atom] - centre) @ normal) == pytest.approx(0.4, abs=0.1)  # was nearly flat


def test_atoms_of_two_aromatic_rings_stay():
    mol = embedded("c1ccc2ncccc2c1")
    atoms = {bumped_aromatic(mol, 0.4, rng(seed)).atoms[0] for seed in range(100)}
    rings = mol.GetRingInfo()
    assert atoms == {a.GetIdx() for a in mol.GetAtoms() if rings.NumAtomRings(a.GetIdx()) == 1}


def test_two_neighbours_leave_the_plane_of_their_ring_to_opposite_sides():
    mol = embedded("Cc1ccccc1")
    defect = twisted_aromatic(mol, 0.2, rng())
    i, j = defect.atoms
    step = coordinates(defect.mol) - coordinates(mol)
    assert mol.GetBondBetweenAtoms(i, j) is not None
    assert np.linalg.norm(step[[i, j]], axis=1) == pytest.approx(0.2)
    assert np.abs(step[i] + step[j]).max() < SMALL


def test_two_opposite_atoms_leave_the_plane_of_their_ring_to_one_side():
    mol = embedded("Cc1ccccc1")
    defect = boat_aromatic(mol, 0.2, rng())
    assert Chem.GetDistanceMatrix(mol)[defect.atoms] == 3
    step = coordinates(defect.mol) - coordinates(mol)
    assert np.linalg.norm(step[list(defect.atoms)], axis=1) == pytest.approx(0.2)
    assert np.ptp(step[list(defect.atoms)], axis=0).max() < SMALL


def test_bonds_around_an_aromatic_ring_are_short_and_long_in_turn():
    mol = embedded("Cc1ccccc1")
    defect = alternating_aromatic(mol, 0.1, rng())
    around = [*pairwise(defect.atoms), (defect.atoms[-1], defect.atoms[0])]
    change = [changed_bonds(mol, defect.mol)[frozenset(pair)] for pair in around]
    assert change[::2] == pytest.approx([-0.1] * 3)
    assert min(change[1::2]) > 0.04
    assert len(changed_bonds(mol, defect.mol)) == 6  # substituents move along


def test_ring_swells_in_proportion_and_keeps_its_angles():
    mol = embedded("CC1CCNCC1")
    defect = swollen_ring(mol, 0.05, rng())
    ring = list(defect.atoms)
    before, after = (distances(m)[np.ix_(ring, ring)] for m in (mol, defect.mol))
    assert after == pytest.approx(1.05 * before)
    assert {pair <= set(ring) for pair in changed_bonds(mol, defect.mol)} == {True}


def test_atom_is_shifted_within_the_plane_of_its_ring():
    mol = embedded("Cc1ccccc1")
    defect = shifted_in_ring(mol, 0.3, rng())
    (atom,) = defect.atoms
    step = coordinates(defect.mol) - coordinates(mol)
    _, normal = plane(coordinates(mol)[1:7])
    assert np.linalg.norm(step[atom]) == pytest.approx(0.3)
    assert step[atom] @ normal == pytest.approx(0, abs=1e-9)
    assert {len(pair & set(range(1, 7))) for pair in changed_bonds(mol, defect.mol)} == {2}


def test_substituent_is_bent_out_of_the_plane_of_its_ring():
    mol = embedded("CCc1ccccc1")
    defect = tilted_substituent(mol, 20, rng())
    bearer, first = defect.atoms
    assert not changed_bonds(mol, defect.mol)
    assert {angle[1] for angle in changed_angles(mol, defect.mol)} == {bearer}
    arm, direction = (coordinates(m)[first] - coordinates(m)[bearer] for m in (mol, defect.mol))
    cosine = arm @ direction / np.linalg.norm(arm) ** 2
    assert np.degrees(np.arccos(cosine)) == pytest.approx(20)


def test_saturated_ring_becomes_flat_with_its_bonds_of_the_same_mean_length():
    mol = embedded("CC1CCNCC1")
    defect = flattened_ring(mol, 1, rng())
    ring = list(defect.atoms)
    x = coordinates(defect.mol)[ring]
    centre, normal = plane(x)
    assert np.abs((x - centre) @ normal).max() < SMALL
    assert np.abs((coordinates(mol)[ring] - plane(coordinates(mol)[ring])[0]) @ normal).max() > 0.1
    around = [*pairwise(ring), (ring[-1], ring[0])]
    lengths = [[distances(m)[pair] for pair in around] for m in (mol, defect.mol)]
    assert np.mean(lengths[1]) == pytest.approx(np.mean(lengths[0]))
    assert {pair <= set(ring) for pair in changed_bonds(mol, defect.mol)} == {True}


@pytest.mark.parametrize("smiles", ["c1ccccc1", "C1CCCC1", "C1CC=CCC1", "C1CCC2CCCCC2C1"])
def test_other_rings_are_not_flattened(smiles):
    assert flattened_ring(embedded(smiles), 1, rng()) is None


def test_chair_becomes_a_boat_of_good_bonds_and_the_rest_stays():
    mol = embedded("CCCCCC1CCCCC1")
    defect = boat_ring(mol, 1, rng())
    ring = defect.atoms
    torsions = [
        [torsion_degrees(coordinates(m), *(ring[(i + j) % 6] for j in range(4))) for i in range(6)]
        for m in (mol, defect.mol)
    ]
    chair, boat = np.sign(torsions) * [1, -1, 1, -1, 1, -1]
    assert abs(chair.sum()) == 6
    assert abs(boat.sum()) < 6
    assert max(abs(change) for change in changed_bonds(mol, defect.mol).values()) < 0.1
    assert coordinates(defect.mol)[:4] == pytest.approx(coordinates(mol)[:4])


def test_boat_stays():
    mol = embedded("FC1CCCCC1")
    assert boat_ring(boat_ring(mol, 1, rng()).mol, 1, rng()) is None
