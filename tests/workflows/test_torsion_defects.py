"""Each defect of a torsion changes that torsion and nothing else."""

from itertools import combinations

import pytest
from rdkit import Chem
from rigid_moves import torsion_degrees
from structure_changes import (
    SMALL,
    changed_angles,
    changed_bonds,
    changed_torsions,
    coordinates,
    distances,
    embedded,
    only_turned_about,
    rng,
)
from torsion_defects import (
    CONTACT_BONDS,
    CONTACT_LIMITS,
    cis_amide,
    close_contact,
    eclipsed_torsion,
    twisted_amide,
    twisted_double_bond,
    twisted_ester,
)


def test_trans_amide_becomes_cis():
    mol = embedded("CCC(=O)NC")
    defect = cis_amide(mol, 180, rng())
    assert abs(torsion_degrees(coordinates(mol), *defect.atoms)) > 150
    assert abs(torsion_degrees(coordinates(defect.mol), *defect.atoms)) < 30
    only_turned_about(mol, defect.mol, defect.atoms[1:3])
    assert cis_amide(defect.mol, 180, rng()) is None


@pytest.mark.parametrize("smiles", ["CC(=O)N", "CC(=O)N(C)C", "O=C1CCCN1"])
def test_other_amides_stay(smiles):
    assert cis_amide(embedded(smiles), 180, rng()) is None


@pytest.mark.parametrize("fraction", [0.5, 1])
def test_staggered_carbons_are_turned_towards_eclipsed(fraction):
    mol = embedded("CCCC")
    defect = eclipsed_torsion(mol, fraction, rng())
    before = torsion_degrees(coordinates(mol), *defect.atoms)
    assert torsion_degrees(coordinates(defect.mol), *defect.atoms) == pytest.approx((1 - fraction) * before, abs=1e-6)
    only_turned_about(mol, defect.mol, defect.atoms[1:3])


def test_eclipsed_carbons_stay():
    mol = embedded("CC")
    assert eclipsed_torsion(eclipsed_torsion(mol, 1, rng()).mol, 1, rng()) is None


@pytest.mark.parametrize("at_least", CONTACT_LIMITS[:2])
def test_contact_is_the_nearest_and_made_by_one_torsion(at_least):
    mol = embedded("CC(C)C(C)CCCC")
    heavy = [a.GetIdx() for a in mol.GetAtoms() if a.GetAtomicNum() > 1]
    far = [p for p in combinations(heavy, 2) if Chem.GetDistanceMatrix(mol)[p] >= CONTACT_BONDS]
    at_most = {1.5: 2.2, 2.2: 2.6}[at_least]
    for seed in range(8):
        defect = close_contact(mol, at_least, rng(seed))
        after = distances(defect.mol)
        assert at_least <= after[defect.atoms] <= at_most
        assert min(after[p] for p in far) >= after[defect.atoms] - SMALL
        assert not changed_bonds(mol, defect.mol)
        assert not changed_angles(mol, defect.mol)
        assert len(changed_torsions(mol, defect.mol)) == 1


def test_no_contact_is_made_where_atoms_cannot_come_near():
    assert close_contact(embedded("CCCC"), 2.2, rng()) is None


def test_hydrogen_bond_is_no_contact():
    for seed in range(5):
        mol = embedded("OCCCCO", seed)
        for at_least in CONTACT_LIMITS[:2]:
            defect = close_contact(mol, at_least, rng(seed))
            assert defect is None or {mol.GetAtomWithIdx(i).GetAtomicNum() for i in defect.atoms} != {8}


def test_double_bond_is_twisted_by_its_degrees():
    mol = embedded("CC=NC")
    defect = twisted_double_bond(mol, 30, rng())
    change = torsion_degrees(coordinates(defect.mol), *defect.atoms) - torsion_degrees(coordinates(mol), *defect.atoms)
    assert abs((change + 180) % 360 - 180) == pytest.approx(30)
    only_turned_about(mol, defect.mol, defect.atoms[1:3])


@pytest.mark.parametrize("smiles", ["CC=O", "C1CCC=CC1", "CC=C=CC", "Cc1ccccc1"])
def test_other_double_bonds_are_not_twisted(smiles):
    assert twisted_double_bond(embedded(smiles), 30, rng()) is None


@pytest.mark.parametrize(("make", "smiles"), [(twisted_amide, "CC(=O)NC"), (twisted_ester, "CC(=O)OC")])
def test_amide_or_ester_is_twisted_by_its_degrees(make, smiles):
    mol = embedded(smiles)
    defect = make(mol, 30, rng())
    change = torsion_degrees(coordinates(defect.mol), *defect.atoms) - torsion_degrees(coordinates(mol), *defect.atoms)
    assert (change + 180) % 360 - 180 == pytest.approx(30)
    only_turned_about(mol, defect.mol, defect.atoms[1:3])
