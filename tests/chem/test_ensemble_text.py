"""An ensemble is written as its conformers would be one by one."""

from pathlib import Path

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molebm.chem.ensemble_text import ensemble_text, pdb_text, sdf_text
from molebm.chem.writing import pdb_writer, sdf_block
from molebm.errors import RequestError

SMILES = ["C[C@H](N)C(=O)O", "F/C=C/C(=N\\O)C", "C[N+](C)(C)CC([O-])=O", "[13CH4]", "c1ccccc1", "C[S@](=O)CC"]


def ensemble(smiles: str, n_conformers: int = 3) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMultipleConfs(mol, n_conformers, randomSeed=5)
    for conformer in mol.GetConformers():
        conformer.SetDoubleProp("energy", -1.5 * conformer.GetId())
        conformer.SetProp("stereoisomer", smiles)
    return mol


def without_wedges(text: str) -> list[str]:
    return [line[:9] + "  0" if len(line) == 12 and line[6:9] == "  1" else line for line in text.splitlines()]


@pytest.mark.parametrize("smiles", [*SMILES, "CC=NO", "CC(O)F"])
def test_sdf_is_that_of_the_conformers_but_for_wedges(smiles):
    mol = ensemble(smiles)
    one_by_one = "".join(sdf_block(mol, c.GetId(), "a name", c.GetPropsAsDict()) for c in mol.GetConformers())
    assert sdf_text(mol, "a name").splitlines() == without_wedges(one_by_one)


@pytest.mark.parametrize("smiles", SMILES)
def test_sdf_reads_back_as_the_molecule_with_its_stereo(smiles):
    supplier = Chem.SDMolSupplier()
    supplier.SetData(sdf_text(ensemble(smiles), "x"))
    assert {Chem.MolToSmiles(mol) for mol in supplier} == {Chem.CanonSmiles(smiles)}


@pytest.mark.parametrize("smiles", SMILES)
def test_pdb_is_that_of_the_writer(smiles, tmp_path):
    mol = ensemble(smiles)
    with pdb_writer(tmp_path / "out.pdb") as write:
        for conformer in mol.GetConformers():
            write(mol, conformer.GetId(), "a name", conformer.GetPropsAsDict())
    assert pdb_text(mol, "a name") == (tmp_path / "out.pdb").read_text()


def test_molecule_too_large_for_the_old_format_is_written_in_the_new():
    mol = Chem.AddHs(Chem.MolFromSmiles("C" * 340))
    mol.AddConformer(Chem.Conformer(mol.GetNumAtoms()))
    assert "V3000" in sdf_text(mol, "long")


def test_molecule_without_conformers_is_no_text():
    assert sdf_text(Chem.MolFromSmiles("C"), "x") == pdb_text(Chem.MolFromSmiles("C"), "x") == ""


def test_format_is_that_of_the_extension():
    assert ensemble_text("a.SDF.gz") is ensemble_text(Path("a.sd")) is sdf_text
    assert ensemble_text("a.pdb") is pdb_text
    with pytest.raises(RequestError, match=r"unknown kind; known are \.sdf \.sd \.pdb"):
        ensemble_text("a.xyz")
