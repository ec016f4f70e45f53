"""Each defect about one atom or of the graph changes what it says, and what is given stays where it is."""

import numpy as np
import pytest
from centre_defects import (
    closed_umbrella,
    misplaced_nitrogen,
    planar_centre,
    pyramidal_amide,
    pyramidal_carbonyl,
    swapped_elements,
)
from graph_defects import extra_hydrogen, missing_hydrogen, wrong_bond_order
from rdkit import Chem
from rigid_moves import angle_degrees, plane
from structure_changes import SMALL, changed_bonds, coordinates, distances, embedded, rng

from molebm.plausibility.stereo import stereo_mismatches


def heavy_neighbours(mol, atom):
    return [a.GetIdx() for a in mol.GetAtomWithIdx(atom).GetNeighbors() if a.GetAtomicNum() > 1]


def height(mol, atom, near):
    centre, normal = plane(coordinates(mol)[near])
    return abs((coordinates(mol)[atom] - centre) @ normal)


@pytest.mark.parametrize("smiles", ["CC(F)CC", "FC1CCCCC1"])
def test_centre_is_in_the_plane_of_its_neighbours_with_bonds_outside_rings_of_the_same_length(smiles):
    mol = embedded(smiles)
    defect = planar_centre(mol, 1, rng())
    (atom,) = defect.atoms
    assert height(mol, atom, heavy_neighbours(mol, atom)) > 0.3
    assert height(defect.mol, atom, heavy_neighbours(mol, atom)) < SMALL
    changed = changed_bonds(mol, defect.mol)
    assert all(atom in pair and mol.GetBondBetweenAtoms(*pair).IsInRing() for pair in changed)


@pytest.mark.parametrize("make", [pyramidal_amide, pyramidal_carbonyl])
def test_trigonal_atom_leaves_the_plane_of_its_neighbours(make):
    mol = embedded("CC(=O)N(C)C")
    defect = make(mol, 0.3, rng())
    (atom,) = defect.atoms
    near = heavy_neighbours(mol, atom)
    assert height(defect.mol, atom, near) - height(mol, atom, near) == pytest.approx(0.3)
    moved = np.abs(coordinates(defect.mol) - coordinates(mol)).max(axis=1) > SMALL
    assert np.flatnonzero(moved).tolist() == [atom]


def test_umbrella_closes_and_keeps_its_bonds():
    mol = embedded("CCC(F)(F)F")
    defect = closed_umbrella(mol, 10, rng())
    centre, *ends = defect.atoms
    assert not changed_bonds(mol, defect.mol)
    angles = [[angle_degrees(coordinates(m), 1, centre, end) for end in ends] for m in (mol, defect.mol)]
    assert np.array(angles[1]) == pytest.approx(np.array(angles[0]) + 10)


def test_nitrogen_of_pyridine_and_its_neighbour_exchange_their_places():
    mol = embedded("c1ccncc1")
    defect = misplaced_nitrogen(mol, 1, rng())
    carbon, nitrogen = defect.atoms
    x, moved = coordinates(mol), coordinates(defect.mol)
    assert moved[[carbon, nitrogen]] == pytest.approx(x[[nitrogen, carbon]])
    (hydrogen,) = (a.GetIdx() for a in mol.GetAtomWithIdx(carbon).GetNeighbors() if a.GetAtomicNum() == 1)
    lengths = [distances(m)[carbon, hydrogen] for m in (mol, defect.mol)]
    assert lengths[0] == pytest.approx(lengths[1])
    assert min(np.linalg.norm(moved - moved[hydrogen], axis=1)[np.arange(len(x)) != hydrogen]) > 1


def test_oxygen_and_nitrogen_of_an_amide_exchange_their_places():
    mol = embedded("CC(=O)N")
    defect = swapped_elements(mol, 1, rng())
    assert {mol.GetAtomWithIdx(i).GetSymbol() for i in defect.atoms} <= {"C", "N", "O"}
    i, j = defect.atoms
    assert coordinates(defect.mol)[[i, j]] == pytest.approx(coordinates(mol)[[j, i]])
    assert all(i in pair or j in pair for pair in changed_bonds(mol, defect.mol))
    assert len(changed_bonds(mol, defect.mol)) == 2


def test_equal_elements_stay():
    assert swapped_elements(embedded("CC(C)C"), 1, rng()) is None


@pytest.mark.parametrize(
    "smiles, order, product", [("CCO", 1, {"C=CO", "CC=O"}), ("CC=O", -1, {"CCO"}), ("CN=C", -1, {"CNC"})]
)
def test_bond_order_changes_in_the_graph_and_given_atoms_stay(smiles, order, product):
    mol = embedded(smiles)
    defect = wrong_bond_order(mol, order, rng())
    assert Chem.MolToSmiles(Chem.RemoveHs(defect.mol)) in product
    assert defect.mol.GetNumAtoms() == mol.GetNumAtoms() - 2 * order
    given = {tuple(place) for place in coordinates(mol)}
    kept = sum(tuple(place) in given for place in coordinates(defect.mol))
    assert kept == min(mol.GetNumAtoms(), defect.mol.GetNumAtoms())
    types = [m.GetBondBetweenAtoms(*defect.atoms).GetBondTypeAsDouble() for m in (mol, defect.mol)]
    assert types[1] - types[0] == order


def test_hydrogen_placed_for_a_lower_order_is_beside_its_atom():
    defect = wrong_bond_order(embedded("CC=O"), -1, rng())
    new = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in defect.mol.GetBonds()][-2:]
    assert all(0.8 < distances(defect.mol)[pair] < 1.2 for pair in new)


@pytest.mark.parametrize("order", [1, -1])
def test_hydrogen_is_removed_and_counted_as_implicit(order):
    mol = embedded("C[C@H](N)C(=O)O")
    mol = Chem.RenumberAtoms(mol, list(range(mol.GetNumAtoms()))[::order])
    for seed in range(10):
        defect = missing_hydrogen(mol, 2, rng(seed))
        assert defect.mol.GetNumAtoms() == mol.GetNumAtoms() - 2
        assert sum(defect.mol.GetAtomWithIdx(i).GetNumImplicitHs() for i in defect.atoms) == 2
        assert Chem.MolToSmiles(Chem.RemoveHs(defect.mol)) == Chem.MolToSmiles(Chem.RemoveHs(mol))
        assert stereo_mismatches(defect.mol) == []
        assert not any(a.GetNumRadicalElectrons() for a in defect.mol.GetAtoms())
    assert missing_hydrogen(mol, 7, rng()) is None


def test_order_changes_without_hydrogens_too():
    mol = Chem.RemoveAllHs(embedded("CCO"))
    defect = wrong_bond_order(mol, 1, rng())
    assert Chem.MolToSmiles(defect.mol) in {"C=CO", "CC=O"}
    assert coordinates(defect.mol) == pytest.approx(coordinates(mol))


def test_hydrogen_of_an_aromatic_nitrogen_can_be_missing():
    mol = embedded("c1cc[nH]c1")
    found = [missing_hydrogen(mol, 1, rng(seed)) for seed in range(20)]
    assert {defect.mol.GetAtomWithIdx(defect.atoms[0]).GetSymbol() for defect in found} == {"C", "N"}
    assert {Chem.MolToSmiles(Chem.RemoveHs(defect.mol)) for defect in found} == {"c1cc[nH]c1"}


def test_hydrogen_is_missing_once_at_most():
    assert missing_hydrogen(missing_hydrogen(embedded("CCO"), 1, rng()).mol, 1, rng()) is None


def test_hydrogen_too_many_is_bound_where_there_is_room():
    mol = embedded("CCC(=O)N")
    for seed in range(10):
        defect = extra_hydrogen(mol, 1, rng(seed))
        bearer, new = defect.atoms
        assert defect.mol.GetNumAtoms() == mol.GetNumAtoms() + 1
        assert distances(defect.mol)[bearer, new] == pytest.approx(1.09)
        assert np.delete(distances(defect.mol)[new], [bearer, new]).min() > 1
        assert [problem.GetAtomIdx() for problem in Chem.DetectChemistryProblems(defect.mol)] == [bearer]
