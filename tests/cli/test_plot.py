"""`molebm plot` draws what it is asked for, or says what it needs."""

from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.cli import main

RUN = '{"update": 1, "stage": "force matching", "loss": 2.0}\n{"update": 2, "stage": "force matching", "loss": 1.0}\n'


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main.cli, ["plot", *map(str, arguments)], prog_name="molebm")


@pytest.fixture
def conformers(tmp_path: Path) -> Path:
    mol = Chem.AddHs(Chem.MolFromSmiles("CCCCO"))
    rdDistGeom.EmbedMultipleConfs(mol, 3, randomSeed=1)
    mol.SetProp("_Name", "butanol")
    with Chem.SDWriter(str(tmp_path / "out.sdf")) as writer:
        for conformer in mol.GetConformers():
            mol.SetDoubleProp("energy_kcal_mol", float(conformer.GetId()))
            writer.write(mol, confId=conformer.GetId())
    return tmp_path / "out.sdf"


def test_each_kind_of_picture_is_drawn(tmp_path, conformers):
    (tmp_path / "log.jsonl").write_text(RUN)
    torsion = ["--energy", "mmff94", "--points", 6, "--atoms", 0, 1, 2, 3]
    for arguments in (
        ("training", tmp_path, "-o", tmp_path / "a.png"),
        ("torsion", "CCCC", "-o", tmp_path / "b.svg", *torsion),
        ("energies", conformers, "-o", tmp_path / "c.png"),
        ("map", conformers, "-o", tmp_path / "d.pdf", "--atoms", 0, 1, 2, 3, "--atoms", 1, 2, 3, 4),
    ):
        result = run(*arguments)
        assert result.exit_code == 0, result.output
        assert Path(arguments[3]).stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("map", "x.sdf", "-o", "a.png", "--atoms", 0, 1, 2, 3), "--atoms 2 times"),
        (("torsion", "CCCC", "-o", "a.gif", "--atoms", 0, 1, 2, 3), "known are .png"),
        (("training", "nowhere", "-o", "a.png"), "folder of a run"),
        (("energies", "nowhere.sdf", "-o", "a.png"), "does not exist"),
    ],
)
def test_requests_that_cannot_be_met_say_why(arguments, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments)
    assert (result.exit_code, said in result.stderr) == (2, True), result.output
    assert list(tmp_path.iterdir()) == []


def test_atoms_that_the_molecule_lacks_are_told(conformers, tmp_path):
    result = run("map", conformers, "-o", tmp_path / "a.png", "--atoms", 0, 1, 2, 99, "--atoms", 0, 1, 2, 3)
    assert result.exit_code == 2 and "0 to 14" in result.stderr
