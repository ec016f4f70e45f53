"""Files are complete or not there; what they hold reads back as what was written."""

import csv
import gzip
import math
import os
from pathlib import Path

import pytest
from rdkit import Chem
from rdkit.Chem import AllChem

from molebm.chem.writing import csv_writer, pdb_writer, replacing, sdf_block, sdf_writer, structure_writer
from molebm.errors import MoleculeError, RequestError


def embedded(smiles: str, n_conformers: int = 1) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    AllChem.EmbedMultipleConfs(mol, n_conformers, randomSeed=3)
    return mol


def read_sdf(text: str) -> Chem.Mol:
    supplier = Chem.SDMolSupplier()
    supplier.SetData(text, removeHs=False)
    (mol,) = supplier
    return mol


def write_all(writer, path: Path, mol: Chem.Mol, **options: bool) -> None:
    with writer(path, **options) as write:
        for conformer in mol.GetConformers():
            write(mol, conformer.GetId(), "one", {"energy": 1.5})


def test_nothing_has_the_name_of_the_output_until_it_is_complete(tmp_path):
    path = tmp_path / "out.txt"
    with replacing(path) as file:
        file.write("half")
        assert not path.exists()
    assert path.read_text() == "half"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("name", ["out.sdf", "out.sdf.gz", "out.pdb"])
def test_no_partial_output_is_left_after_an_error(tmp_path, name, error):
    def fail_half_way() -> None:
        with structure_writer(tmp_path / name) as write:
            write(embedded("CCO"), 0, "ethanol", {})
            raise error

    with pytest.raises(error):
        fail_half_way()
    assert list(tmp_path.iterdir()) == []


def test_an_error_leaves_the_output_that_was_there(tmp_path):
    path = tmp_path / "out.csv"
    path.write_text("precious")
    with pytest.raises(ValueError, match="fields not in"), csv_writer(path, ["a"], force=True) as write:
        [write({column: 1.0}) for column in ("a", "b")]
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_output_in_the_way_is_kept_unless_forced(tmp_path):
    path = tmp_path / "out.sdf"
    path.write_text("precious")
    mol = embedded("CCO")
    with pytest.raises(RequestError, match="--force"):
        write_all(sdf_writer, path, mol)
    assert path.read_text() == "precious"
    write_all(sdf_writer, path, mol, force=True)
    assert path.read_text().endswith("$$$$\n")


def test_output_that_cannot_be_is_refused_at_once(tmp_path):
    for path, message in ((tmp_path, "is a folder"), (tmp_path / "none" / "out.sdf", "does not exist; create it")):
        with pytest.raises(RequestError, match=message), replacing(path, force=True):
            pytest.fail("the block must not be entered")
    with pytest.raises(RequestError, match=r"unknown kind; known are \.sdf \.sd \.pdb"):
        structure_writer(tmp_path / "out.xyz")


def test_forcing_through_a_link_replaces_what_it_points_to(tmp_path):
    path, link = tmp_path / "out.txt", tmp_path / "link.txt"
    path.write_text("old")
    link.symlink_to(path)
    with replacing(link, force=True) as file:
        file.write("new")
    assert link.is_symlink()
    assert path.read_text() == "new"


def test_a_device_is_written_to_and_not_replaced():
    with replacing(os.devnull) as file:
        file.write("gone")
    assert Path(os.devnull).is_char_device()


def test_output_has_the_permissions_of_any_new_file(tmp_path):
    plain, path = tmp_path / "plain", tmp_path / "out"
    plain.touch()
    with replacing(path):
        pass
    assert path.stat().st_mode == plain.stat().st_mode


def test_gz_is_compressed_and_repeats_byte_for_byte(tmp_path):
    mol = embedded("CCO", 2)
    write_all(sdf_writer, tmp_path / "a.sdf", mol)
    write_all(sdf_writer, tmp_path / "a.sdf.gz", mol)
    write_all(sdf_writer, tmp_path / "b.sdf.gz", mol)
    assert gzip.decompress((tmp_path / "a.sdf.gz").read_bytes()) == (tmp_path / "a.sdf").read_bytes()
    assert (tmp_path / "a.sdf.gz").read_bytes() == (tmp_path / "b.sdf.gz").read_bytes()
    assert (tmp_path / "a.sdf.gz").read_bytes()[4:8] == bytes(4)  # no time of writing in the header


def test_sdf_record_carries_name_and_properties():
    mol = embedded("CCO")
    energy = -12.345678
    properties = {"energy_kcal_mol": energy, "atoms": 123456789, "note": "two\n\nlines", "nan": math.nan, "none": None}
    back = read_sdf(sdf_block(mol, 0, "ethanol, dry", properties))
    assert back.GetProp("_Name") == "ethanol, dry"
    assert back.GetDoubleProp("energy_kcal_mol") == pytest.approx(energy, rel=5e-8)  # 8 digits
    assert [back.GetProp(key) for key in ("atoms", "note", "nan", "none")] == ["123456789", "two lines", "nan", ""]


def test_a_conformer_is_written_by_its_id():
    mol = embedded("CCCCO", 3)
    mol.RemoveConformer(0)
    for conformer in mol.GetConformers():
        back = read_sdf(sdf_block(mol, conformer.GetId(), "one", {}))
        assert abs(back.GetConformer().GetPositions() - conformer.GetPositions()).max() <= 0.5e-4 + 1e-9
    first = mol.GetConformers()[0].GetId()
    assert sdf_block(mol, -1, "one", {}) == sdf_block(mol, first, "one", {})
    with pytest.raises(MoleculeError, match="no conformer 0"):
        sdf_block(mol, 0, "one", {})


def test_pdb_holds_the_conformers_of_a_molecule_as_models(tmp_path):
    mol = embedded("C=CCO", 3)
    write_all(pdb_writer, tmp_path / "out.pdb", mol)
    text = (tmp_path / "out.pdb").read_text()
    assert [line for line in text.splitlines() if line.startswith("MODEL")] == [f"MODEL     {n:>4}" for n in (1, 2, 3)]
    assert text.count("COMPND") == text.count("\nEND\n") == 1
    assert text.count("REMARK     energy 1.5") == 3
    back = Chem.MolFromPDBBlock(text, removeHs=False, proximityBonding=True)
    assert back.GetNumConformers() == 3
    for ours, theirs in zip(mol.GetConformers(), back.GetConformers(), strict=True):
        assert abs(ours.GetPositions() - theirs.GetPositions()).max() <= 0.5e-3 + 1e-9  # PDB has three decimals


def test_another_molecule_is_another_structure_of_the_pdb_file(tmp_path):
    with pdb_writer(tmp_path / "out.pdb") as write:
        for smiles in ("CCO", "COC"):
            write(embedded(smiles), 0, smiles, {})
    text = (tmp_path / "out.pdb").read_text()
    assert text.count("MODEL        1") == text.count("\nEND\n") == text.count("COMPND") == 2


def test_table_reads_back(tmp_path):
    rows = [{"name": 'a "quoted", name', "energy": 1.25}, {"name": "b", "energy": None}, {"name": "c"}]
    for name, delimiter in (("out.csv", ","), ("out.tsv", "\t"), ("out.csv.gz", ",")):
        with csv_writer(tmp_path / name, ["name", "energy"]) as write:
            for row in rows:
                write(row)
        data = (tmp_path / name).read_bytes()
        text = (gzip.decompress(data) if name.endswith(".gz") else data).decode()
        back = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
        assert [(row["name"], row["energy"]) for row in back] == [('a "quoted", name', "1.25"), ("b", ""), ("c", "")]
