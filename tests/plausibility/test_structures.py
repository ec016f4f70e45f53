import numpy as np
import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molebm.errors import MoleculeError
from molebm.plausibility.structures import admit
from tests.plausibility.conftest import embedded, moved


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
        (embedded("CCO.O", relaxed=False), "2 fragments"),
    ],
)
def test_what_cannot_be_scored_is_refused_with_the_reason(mol, reason):
    with pytest.raises(MoleculeError) as told:
        admit(mol)
    assert reason in str(told.value)
    assert ";" in str(told.value), "and with what to do"


def test_poses_of_one_molecule_have_one_graph_and_others_have_not():
    mol = embedded("CCO")
    graph = admit(mol).graph()
    assert graph == admit(moved(mol, lambda x: x + 1)).graph()
    assert graph != admit(Chem.RenumberAtoms(mol, [1, 0, *range(2, 9)])).graph()
    assert graph != admit(Chem.RemoveHs(mol)).graph(), "its hydrogens are to be placed"
    assert graph != admit(embedded("CC[O-]")).graph()
