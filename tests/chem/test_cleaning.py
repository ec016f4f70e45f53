"""What molebm refuses, why, and what it adds."""

import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molebm.chem.cleaning import check_molecule, prepare_molecule
from molebm.errors import MoleculeError

REFUSED = {  # SMILES: what the message says
    "": "no atoms",
    "CC.O": "2 fragments; keep one",
    "C[Se]C": r"atom 1 \(Se\) .* not known; known are H C N O F Si P S Cl Br I",
    "CB(O)O": r"atom 1 \(B\)",
    "*CC": r"atom 0 \(\*\) stands for any atom",
    "C[CH2]": r"atom 1 \(C\) has an unpaired electron; add",
    "C[CH]": r"atom 1 \(C\) has 2 unpaired electrons; add",
    "CN->O": "bond of atoms 1 and 2 is dative; make it",
}


@pytest.mark.parametrize("smiles", REFUSED)
def test_refusal_names_the_atom_and_the_cure(smiles):
    for call in (check_molecule, prepare_molecule):
        with pytest.raises(MoleculeError, match=REFUSED[smiles]):
            call(Chem.MolFromSmiles(smiles))


def test_queries_are_refused():
    with pytest.raises(MoleculeError, match=r"atom 0 \(C\) is a query"):
        check_molecule(Chem.MolFromSmarts("CC"))
    any_bond = Chem.MolToMolBlock(Chem.MolFromSmiles("CC")).replace("  1  2  1", "  1  2  8")
    with pytest.raises(MoleculeError, match="bond of atoms 0 and 1 is a query"):
        check_molecule(Chem.MolFromMolBlock(any_bond))


@pytest.mark.parametrize("smiles", ["[H][H]", "[Cl-]", "C[N+](C)(C)C", "[2H]C", "C[SiH3]", "O=S(=O)(O)O", "CP(C)(C)=O"])
def test_ions_isotopes_and_hypervalent_atoms_are_molecules(smiles):
    check_molecule(Chem.MolFromSmiles(smiles))


def test_prepared_molecule_has_every_hydrogen_and_keeps_its_atoms_first():
    mol = Chem.MolFromSmiles("CCO")
    prepared = prepare_molecule(mol)
    assert [a.GetSymbol() for a in prepared.GetAtoms()] == ["C", "C", "O"] + ["H"] * 6
    assert all(a.GetTotalNumHs() == 0 for a in prepared.GetAtoms())
    assert mol.GetNumAtoms() == 3  # the input is not changed


@pytest.mark.parametrize(
    "smiles", ["C/C=C/[C@H](F)Cl", "CC[S@](C)=O", "[H]/N=C(\\C)CC", "C[C@H]1CC[C@@H](O)CC1", "CC(F)Cl"]
)
def test_prepared_molecule_keeps_the_stereo_that_was_declared(smiles):
    prepared = prepare_molecule(Chem.MolFromSmiles(smiles))
    assert Chem.MolToSmiles(Chem.RemoveHs(prepared)) == Chem.CanonSmiles(smiles)


def test_preparing_twice_changes_nothing():
    once = prepare_molecule(Chem.MolFromSmiles("C/C=C/[C@H](F)Cl"))
    assert Chem.MolToCXSmiles(prepare_molecule(once)) == Chem.MolToCXSmiles(once)


def test_new_hydrogens_are_placed_in_every_conformer():
    mol = Chem.AddHs(Chem.MolFromSmiles("CC(=O)N[C@@H](C)CO"))
    AllChem.EmbedMultipleConfs(mol, 3, randomSeed=1)
    prepared = prepare_molecule(Chem.RemoveHs(mol))
    assert prepared.GetNumConformers() == 3
    for before, after in zip(mol.GetConformers(), prepared.GetConformers(), strict=True):
        heavy = mol.GetNumHeavyAtoms()
        assert np.array_equal(after.GetPositions()[:heavy], before.GetPositions()[:heavy])
        for bond in prepared.GetBonds():
            length = np.linalg.norm(np.subtract(*after.GetPositions()[[bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()]]))
            assert 0.8 < length < 1.7


def test_drawing_is_not_taken_for_coordinates():
    mol = Chem.MolFromSmiles("CCO")
    AllChem.Compute2DCoords(mol)
    assert prepare_molecule(mol).GetNumConformers() == 0
    assert mol.GetNumConformers() == 1


def test_name_is_kept():
    mol = Chem.MolFromSmiles("CCO")
    mol.SetProp("_Name", "ethanol")
    assert prepare_molecule(mol).GetProp("_Name") == "ethanol"
