import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molebm.errors import GraphError, MoleculeError
from molebm.plausibility.structures import admit
from tests.plausibility.conftest import embedded, five_valent, moved


def drawing() -> Chem.Mol:
    mol = Chem.MolFromSmiles("CCO")
    AllChem.Compute2DCoords(mol)
    return mol


def ensemble() -> Chem.Mol:
    mol = embedded("CCO")
    mol.AddConformer(mol.GetConformer(), assignId=True)
    return mol


@pytest.mark.parametrize(
    ("mol", "reason"),
    [
        (Chem.MolFromSmiles("CCO"), "no coordinates"),
        (drawing(), "a drawing in two dimensions"),
        (ensemble(), "2 conformers"),
        (moved(embedded("CCO"), lambda x: x * 0), "in one place"),
        (moved(embedded("CCO"), lambda x: np.where(x == x.max(), np.nan, x)), "not a finite number"),
        (embedded("C[Se]C", relaxed=False), "atom 1 (Se) is an element that is not known"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_the_reason(mol, reason):
    with pytest.raises(MoleculeError) as told:
        admit(mol)
    assert reason in str(told.value)
    assert ";" in str(told.value), "and with what to do"


@pytest.mark.parametrize(
    ("mol", "reason", "atoms"),
    [
        (embedded("CCO.O", relaxed=False), "2 fragments", [(3, 10, 11)]),
        (embedded("C[CH]C", relaxed=False), "an unpaired electron", [(1,)]),
        (five_valent(), "C0 has valence 5", [(0,)]),
    ],
)
def test_what_no_molecule_is_is_refused_with_all_that_is_wrong_and_where(mol, reason, atoms):
    with pytest.raises(GraphError, match=reason) as told:
        admit(mol)
    assert ";" in str(told.value), "and with what to do"
    assert [fault.atoms for fault in told.value.faults] == atoms


def test_structure_keeps_what_was_given_and_counts_what_was_added():
    mol = embedded("CCO")
    structure = admit(Chem.RemoveHs(mol))
    assert (structure.n_given, structure.n_added) == (3, 6)
    assert structure.given.GetNumAtoms() == 3
    assert structure.positions.shape == (3, 9, 1)
    assert abs(float(structure.positions.mean(dim=1).max())) < 1e-12


def test_declaration_of_the_record_comes_before_that_of_the_request():
    mol = embedded("CCO")
    assert admit(mol).declared is None
    assert admit(mol, "OCC").declared == "OCC"
    mol.SetProp("declared_smiles", "C(O)C")
    assert admit(mol, "OCC").declared == "C(O)C"


def test_poses_are_of_one_molecule_with_one_order_of_atoms():
    mol = embedded("CCO")
    first = admit(mol)
    assert first.is_pose_of(admit(moved(mol, lambda x: x + 1)))
    assert not first.is_pose_of(admit(Chem.RenumberAtoms(mol, [1, 0, *range(2, 9)])))
    assert not first.is_pose_of(admit(Chem.RemoveHs(mol))), "its hydrogens are to be placed"
    assert not first.is_pose_of(admit(embedded("CC[O-]")))
