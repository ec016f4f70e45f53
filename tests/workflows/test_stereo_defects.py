"""Each defect of stereo is at odds with the tags, and with nothing else."""

import numpy as np
import pytest
from rdkit import Chem
from relaxed_defects import epimer
from stereo_defects import inverted_centre, mirror_image, turned_double_bond
from structure_changes import SMALL, changed_angles, changed_bonds, distances, embedded, only_turned_about, rng

from molebm.errors import Fault
from molebm.plausibility.stereo import stereo_mismatches


def test_only_one_centre_is_inverted_and_its_tag_is_kept():
    mol = embedded("C[C@H](F)[C@@H](O)CC")
    assert stereo_mismatches(mol) == []
    chosen = set()
    for seed in range(10):
        defect = inverted_centre(mol, 1, rng(seed))
        chosen |= set(defect.atoms)
        (told,) = stereo_mismatches(defect.mol)
        assert told.atoms == defect.atoms[:1]
        assert Chem.MolToSmiles(defect.mol) == Chem.MolToSmiles(mol)
        assert not changed_bonds(mol, defect.mol)
        assert {a[1] for a in changed_angles(mol, defect.mol)} <= set(defect.atoms)
    assert chosen == {1, 3}


def test_centre_in_a_ring_is_inverted_by_what_is_outside():
    mol = embedded("C[C@H]1CCCO1")
    defect = inverted_centre(mol, 1, rng())
    assert len(stereo_mismatches(defect.mol)) == 1
    ring = mol.GetRingInfo().AtomRings()[0]
    assert np.abs(distances(defect.mol) - distances(mol))[np.ix_(ring, ring)].max() < SMALL


def test_centre_whose_tag_does_not_matter_stays():
    mol = embedded("CC(C)O")
    mol.GetAtomWithIdx(1).SetChiralTag(Chem.ChiralType.CHI_TETRAHEDRAL_CW)
    assert inverted_centre(mol, 1, rng()) is None


def test_mirror_image_inverts_every_centre_and_keeps_every_distance():
    mol = embedded("C[C@H](F)[C@@H](O)CC")
    defect = mirror_image(mol, 1, rng())
    assert defect.atoms == (1, 3)
    assert len(stereo_mismatches(defect.mol)) == 2
    assert np.abs(distances(defect.mol) - distances(mol)).max() < SMALL


@pytest.mark.parametrize("smiles", ["CC(F)O", "C[C@H](O)[C@@H](C)O", "C[C@H]1CC[C@H](C)CC1"])
def test_molecule_that_is_its_mirror_image_has_none(smiles):
    assert mirror_image(embedded(smiles), 1, rng()) is None


def test_centre_is_inverted_by_a_hydrogen_that_is_not_there():
    mol = Chem.RemoveAllHs(embedded("C[C@H]1CCCO1"))
    defect = inverted_centre(mol, 1, rng())
    assert len(stereo_mismatches(Chem.AddHs(defect.mol, addCoords=True))) == 1


def test_epimer_has_one_wrong_centre_and_good_bonds():
    mol = embedded("C[C@H](F)[C@@H](O)CC")
    defect = epimer(mol, 1, rng())
    (told,) = stereo_mismatches(defect.mol)
    assert told.atoms == defect.atoms[:1]
    assert max(map(abs, changed_bonds(mol, defect.mol).values())) < 0.1


def test_double_bond_is_turned_and_its_tag_is_kept():
    mol = embedded("C/C=C/CC")
    defect = turned_double_bond(mol, 1, rng())
    assert stereo_mismatches(defect.mol) == [Fault("C1=C2 is Z, declared E", (1, 2))]
    only_turned_about(mol, defect.mol, defect.atoms[1:3])


@pytest.mark.parametrize("smiles", ["CC(C)=CC", "C1CCC=CC1", "CC=O"])
def test_double_bond_that_has_no_sides_stays(smiles):
    assert turned_double_bond(embedded(smiles), 1, rng()) is None
