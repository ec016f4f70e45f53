import numpy as np
import pytest
from rdkit import Chem

from molebm.errors import Fault, StereoError
from molebm.plausibility.stereo import as_declared, mismatches_with, stereo_mismatches
from tests.plausibility.conftest import embedded, mirrored, moved


@pytest.mark.parametrize("smiles", ["C[C@H](N)C(=O)O", "C/C=C\\CO", "CS(=O)c1ccccc1", "C[C@H]1CC[C@@H](O)CC1"])
def test_embedded_molecule_has_the_stereo_it_declares(smiles):
    assert stereo_mismatches(embedded(smiles)) == []


def test_mirror_image_is_told_by_its_centre():
    assert stereo_mismatches(mirrored(embedded("C[C@H](N)C(=O)O"))) == [Fault("C1 is R, declared S", (1,))]


def test_every_inverted_centre_of_a_mirror_image_is_told():
    told = stereo_mismatches(mirrored(embedded("C[C@H](O)[C@@H](N)C(=O)O")))
    assert [fault.atoms for fault in told] == [(1,), (3,)]


def test_mirror_image_of_a_meso_compound_is_the_same_molecule():
    assert stereo_mismatches(mirrored(embedded("C[C@H]1CC[C@@H](C)CC1"))) == []
    assert stereo_mismatches(mirrored(embedded("O[C@H](Cl)C[C@@H](O)Cl"))) == []


def test_turned_double_bond_is_told():
    mol = embedded("C/C=C/CO")
    mol.GetBondBetweenAtoms(1, 2).SetStereo(Chem.BondStereo.STEREOZ)
    assert stereo_mismatches(mol) == [Fault("C1=C2 is E, declared Z", (1, 2))]


def test_flat_centre_is_neither_hand():
    pressed = moved(embedded("C[C@H](N)C(=O)O"), lambda x: x * [1, 1, 1e-3])
    assert stereo_mismatches(pressed) == [Fault("C1 is flat, declared S", (1,))]


def test_undeclared_centre_may_be_either():
    mol = embedded("CC(N)C(=O)O")
    assert stereo_mismatches(mol) == stereo_mismatches(mirrored(mol)) == []


def test_declared_smiles_is_matched_whatever_the_order_of_atoms():
    mol = embedded("C[C@H](N)C(=O)O")
    mol = Chem.RenumberAtoms(mol, list(range(mol.GetNumAtoms()))[::-1])
    assert mismatches_with(mol, "N[C@H](C(=O)O)C") == mismatches_with(mol, "OC(=O)[C@H](C)N") == []
    assert len(mismatches_with(mol, "N[C@@H](C(=O)O)C")) == 1


@pytest.mark.parametrize("declared", ["F[C@H](Cl)CC[C@@H](F)Cl", "F[C@H](Cl)[C@H](O)[C@@H](F)Cl"])
def test_declared_smiles_of_a_symmetric_molecule_is_met_whichever_end_comes_first(declared):
    mol = embedded(declared)
    generator = np.random.default_rng(0)
    for _ in range(5):
        shuffled = Chem.RenumberAtoms(mol, generator.permutation(mol.GetNumAtoms()).tolist())
        assert mismatches_with(shuffled, declared) == []
        assert len(mismatches_with(shuffled, declared.replace("@@", "@"))) > 0


def test_declared_smiles_of_another_molecule_is_told():
    mol = embedded("C[C@H](N)C(=O)O")
    with pytest.raises(StereoError, match="is another molecule"):
        as_declared(mol, "C[C@H](N)C(=O)N")
    assert "is another molecule" in mismatches_with(mol, "C[C@H]([NH3+])C(=O)[O-]")[0].words
    assert "not a valid SMILES" in mismatches_with(mol, "C[C@H](N")[0].words


def test_what_tags_and_smiles_both_declare_is_told_once():
    mol = mirrored(embedded("C[C@H](N)C(=O)O"))
    assert mismatches_with(mol, "C[C@H](N)C(=O)O") == stereo_mismatches(mol) != []


def test_cis_and_trans_of_a_ring_are_told_apart():
    declared, other = "C[C@H]1CC[C@@H](O)CC1", "C[C@H]1CC[C@H](O)CC1"
    assert mismatches_with(embedded(other), other) == []
    assert len(mismatches_with(embedded(other), declared)) > 0
