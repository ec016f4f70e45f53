"""Each defect of a ring changes what it says and nothing else."""

from itertools import pairwise

import numpy as np
import pytest
from relaxed_defects import boat_ring
from rigid_moves import plane, torsion_degrees
from ring_defects import bumped_aromatic, flattened_ring, twisted_aromatic
from structure_changes import SMALL, changed_bonds, coordinates, distances, embedded, rng


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
