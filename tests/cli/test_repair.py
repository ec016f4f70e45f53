"""`molebm repair` as it is called from a shell."""

import gzip
from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from rdkit import Chem

from molebm.cli.main import cli
from molebm.plausibility.repair_outcome import COLUMNS
from tests.plausibility.conftest import embedded, stretched

CUT_SHORT = "broken\n\n\n  9  9  0  0  0  0  0  0  0  0999 V2000\n$$$$\n"
ETHER, OTHER_HAND = "CO[C@H](C)F", "CO[C@@H](C)F"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["repair", *map(str, arguments)], prog_name="molebm")


def record(name: str, mol: Chem.Mol, **fields: str) -> str:
    copy = Chem.Mol(mol)
    copy.SetProp("_Name", name)
    return Chem.MolToMolBlock(copy) + "".join(f">  <{key}>\n{text}\n\n" for key, text in fields.items()) + "$$$$\n"


def read(path: Path) -> list[Chem.Mol]:
    return list(Chem.SDMolSupplier(str(path), removeHs=False))


@pytest.fixture(scope="module")
def sound() -> Chem.Mol:
    return embedded(ETHER)


@pytest.fixture
def mixed(sound: Chem.Mol, tmp_path: Path) -> Path:
    path = tmp_path / "mixed.sdf"
    bad = stretched(sound, 1, 2, 0.5)
    path.write_text(
        record("good", sound, kind="as it\nshould be", number="007")
        + record("bad", bad, molebm_status="old")
        + CUT_SHORT
        + record("selenide", embedded("C[Se]C", relaxed=False))
        + record("inverted", sound, declared_smiles=OTHER_HAND)
    )
    return path


def test_what_can_be_read_is_written_in_order_with_its_fields_and_what_was_done(mixed: Path, tmp_path: Path):
    output, table = tmp_path / "repaired.sdf", tmp_path / "repairs.csv"
    result = run(mixed, "-o", output, "--table", table)
    assert result.exit_code == 1, "two records failed"
    mols = read(output)
    assert [mol.GetProp("_Name") for mol in mols] == ["good", "bad", "selenide", "inverted"]
    statuses = [mol.GetProp("molebm_status") for mol in mols]
    assert statuses[:2] == ["sound", "repaired"]
    assert statuses[2].startswith("failed: ")
    assert statuses[3].startswith("not repaired: ")
    assert mols[0].GetProp("kind") == "as it\nshould be"
    assert mols[0].GetProp("number") == "007"
    assert float(mols[0].GetProp("molebm_rmsd")) == 0 < float(mols[1].GetProp("molebm_rmsd"))
    assert float(mols[1].GetProp("molebm_p_after")) > 0.05 >= float(mols[1].GetProp("molebm_p_before"))

    rows = pd.read_csv(table)
    assert tuple(rows.columns) == COLUMNS
    assert rows.record.tolist() == [0, 1, 2, 3, 4]
    assert rows.status[1] == "repaired"
    assert rows.score_after[1] < rows.score_before[1]
    failures = pd.read_csv(tmp_path / "repaired.failures.csv")
    assert failures.name.tolist() == ["broken", "selenide"]
    assert failures.notna().all(axis=None)
    assert "3 structures in" in result.stderr
    assert "2 of 5 records failed" in result.stderr


def test_untouched_structures_come_back_as_they_were(mixed: Path, sound: Chem.Mol, tmp_path: Path):
    run(mixed, "-o", tmp_path / "repaired.sdf")
    given = Chem.MolFromMolBlock(Chem.MolToMolBlock(sound), removeHs=False)
    for place in (0, 3):
        mol = read(tmp_path / "repaired.sdf")[place]
        assert (mol.GetConformer().GetPositions() == given.GetConformer().GetPositions()).all()


def test_stereo_is_built_as_declared_when_that_is_asked_for(sound: Chem.Mol, tmp_path: Path):
    source, output = tmp_path / "one.sdf", tmp_path / "repaired.sdf.gz"
    source.write_text(record("inverted", sound))
    result = run(source, "-o", output, "--template", OTHER_HAND, "--stereo", "rebuild")
    assert result.exit_code == 0, result.output
    mol = Chem.MolFromMolBlock(gzip.decompress(output.read_bytes()).decode())
    assert Chem.MolToSmiles(mol) == Chem.CanonSmiles(OTHER_HAND)
    assert not (tmp_path / "repaired.failures.csv").exists()


def test_same_input_gives_the_same_bytes(sound: Chem.Mol, tmp_path: Path):
    source = tmp_path / "some.sdf"
    bad = stretched(sound, 1, 2, 0.5)
    source.write_text(record("bad", bad) + record("inverted", sound, declared_smiles=OTHER_HAND))
    for name, threads in (("a", 1), ("b", 2)):
        run(source, "-o", tmp_path / f"{name}.sdf", "--stereo", "rebuild", "--seed", 5, "--threads", threads)
    assert (tmp_path / "a.sdf").read_bytes() == (tmp_path / "b.sdf").read_bytes()


@pytest.mark.parametrize("taken", ["out.sdf", "out.failures.csv", "table.csv"])
def test_nothing_is_overwritten_without_force(mixed: Path, tmp_path: Path, taken: str):
    (tmp_path / taken).write_text("precious")
    result = run(mixed, "-o", tmp_path / "out.sdf", "--table", tmp_path / "table.csv")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (tmp_path / taken).read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.sdf", "-o", "out.sdf"], "'missing.sdf'"),
        (["mixed.sdf", "-o", "out.csv"], ".sdf"),
        (["mixed.sdf", "-o", "out.sdf", "--table", "out.failures.csv"], "two outputs"),
        (["mixed.sdf", "-o", "out.sdf", "--alpha", "2"], "alpha"),
        (["mixed.sdf", "-o", "out.sdf", "--time-limit", "0"], "time limit"),
        (["mixed.sdf", "-o", "out.sdf", "--model", "missing.json"], "missing"),
    ],
)
def test_bad_request_exits_with_2_and_leaves_nothing(
    mixed: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
):
    monkeypatch.chdir(mixed.parent)
    result = run(*arguments)
    assert result.exit_code == 2
    assert told in result.stderr
    assert [path.name for path in mixed.parent.iterdir()] == ["mixed.sdf"]


@pytest.fixture(autouse=True)
def _one_thread():
    yield
    torch.set_num_threads(1)
