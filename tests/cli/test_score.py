"""`molebm score` as it is called from a shell."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from rdkit import Chem
from rdkit.Chem import AllChem

from molebm.cli.main import cli
from molebm.models.checkpoint import save_model
from molebm.models.network import ParameterNetwork
from molebm.units import thermal_energy

COLUMNS = ["record", "name", "status", "energy_kcal_mol", "score", "p_value", "flagged", "reasons"]
CUT_SHORT = "broken\n\n\n  9  9  0  0  0  0  0  0  0  0999 V2000\n$$$$\n"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["score", *map(str, arguments)], prog_name="molebm")


def record(name: str, smiles: str, **fields: str) -> str:
    """Write a relaxed structure as an SDF record."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if AllChem.EmbedMolecule(mol, randomSeed=1) == 0 and AllChem.MMFFHasAllMoleculeParams(mol):
        AllChem.MMFFOptimizeMolecule(mol, maxIters=2000)
    mol.SetProp("_Name", name)
    return Chem.MolToMolBlock(mol) + "".join(f">  <{key}>\n{text}\n\n" for key, text in fields.items()) + "$$$$\n"


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "good.sdf"
    path.write_text(record("alanine", "C[C@H](N)C(=O)O") + record("phenol", "c1ccccc1O"))
    return path


@pytest.fixture
def mixed(tmp_path: Path, good: Path) -> Path:
    path = tmp_path / "mixed.sdf"
    path.write_text(good.read_text() + CUT_SHORT + record("selenide", "C[Se]C") + record("last", "CCO"))
    return path


def test_all_scored_exits_with_0_and_leaves_no_list_of_failures(good: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    result = run(good, "-o", output, "--energy", "mmff94")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output)
    assert list(table.columns) == COLUMNS
    assert table.name.tolist() == ["alanine", "phenol"]
    assert table.score.abs().max() < 5e-3
    assert "2 structures scored" in result.stderr
    assert not (tmp_path / "scores.failures.csv").exists()


def test_every_record_has_a_row_and_failures_are_listed_with_a_cure(mixed: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    assert run(mixed, "-o", output, "--energy", "mmff94").exit_code == 1
    table = pd.read_csv(output)
    assert table.record.tolist() == [0, 1, 2, 3, 4]
    assert (table.status == "ok").tolist() == [True, True, False, False, True]
    failures = pd.read_csv(tmp_path / "scores.failures.csv")
    assert list(failures.columns) == ["name", "input", "reason", "cure"]
    assert failures.name.tolist() == ["broken", "selenide"]
    assert failures.notna().all(axis=None)


def test_earlier_list_of_failures_does_not_outlive_them(mixed: Path, good: Path, tmp_path: Path):
    output = tmp_path / "scores.csv"
    run(mixed, "-o", output, "--energy", "mmff94")
    assert run(good, "-o", output, "--energy", "mmff94", "--force").exit_code == 0
    assert not (tmp_path / "scores.failures.csv").exists()


@pytest.mark.parametrize("taken", ["scores.csv", "scores.failures.csv", "atoms.csv"])
def test_output_in_the_way_is_a_bad_request(good: Path, tmp_path: Path, taken: str):
    (tmp_path / taken).write_text("precious")
    arguments = (good, "-o", tmp_path / "scores.csv", "--atoms", tmp_path / "atoms.csv", "--energy", "mmff94")
    result = run(*arguments)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (tmp_path / taken).read_text() == "precious"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["missing.sdf", "--energy", "mmff94"], "'missing.sdf'"),
        (["good.sdf", "--energy", "mmff94", "--alpha", "2"], "alpha"),
        (["good.sdf", "--energy", "mmff94", "--model", "m.json"], "m.json"),
        (["good.sdf", "--model", "missing.json"], "missing"),
        (["good.sdf", "--energy", "mmff94", "--atoms", "scores.csv"], "two outputs"),
    ],
)
def test_bad_request_exits_with_2_and_leaves_nothing(
    good: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], told: str
):
    monkeypatch.chdir(good.parent)
    result = run(*arguments, "-o", "scores.csv")
    assert result.exit_code == 2
    assert told in result.stderr
    assert [path.name for path in good.parent.iterdir()] == ["good.sdf"]


def test_excess_of_each_atom_sums_to_the_score(good: Path, tmp_path: Path):
    output, atoms = tmp_path / "scores.csv", tmp_path / "atoms.csv"
    good.write_text(good.read_text().replace("alanine", "=odd, name"))
    assert run(good, "-o", output, "--atoms", atoms, "--energy", "mmff94").exit_code == 0
    table = pd.read_csv(atoms)
    assert list(table.columns) == ["record", "name", "atom", "element", "excess_kcal_mol"]
    assert table.name[0] == "=odd, name"
    per_atom = table.groupby("record").excess_kcal_mol.agg(["sum", "size"])
    expected = pd.read_csv(output).score * 1.5 * per_atom["size"] * thermal_energy(300)
    np.testing.assert_allclose(per_atom["sum"], expected, atol=1e-6)


def test_template_declares_the_stereo_that_coordinates_must_have(tmp_path: Path):
    source = tmp_path / "poses.sdf"
    source.write_text(record("as declared", "C[C@H](N)C(=O)O") + record("inverted", "C[C@@H](N)C(=O)O"))
    run(source, "-o", tmp_path / "scores.csv", "--energy", "mmff94", "--template", "N[C@@H](C)C(=O)O")
    table = pd.read_csv(tmp_path / "scores.csv")
    assert table.flagged.tolist() == [False, True]
    assert table.reasons[1] == "stereo C1: declared S, is R"


def test_data_field_declares_the_stereo_of_its_record(tmp_path: Path):
    source = tmp_path / "poses.sdf"
    l_alanine, d_alanine = "N[C@@H](C)C(=O)O", "N[C@H](C)C(=O)O"
    source.write_text(
        record("l", l_alanine, declared_smiles=l_alanine) + record("d", d_alanine, declared_smiles=l_alanine)
    )
    run(source, "-o", tmp_path / "scores.csv", "--energy", "mmff94")
    assert pd.read_csv(tmp_path / "scores.csv").flagged.tolist() == [False, True]


def test_learned_energy_gives_p_values_by_its_calibration(good: Path, tmp_path: Path):
    settings = {"width": 8, "hidden": 8, "n_layers": 1}
    metadata = {"network": settings, "calibration": [1e6] * 3}
    save_model(tmp_path / "model.safetensors", ParameterNetwork(**settings), metadata)
    output = tmp_path / "scores.csv"
    assert run(good, "-o", output, "--model", tmp_path / "model.safetensors").exit_code == 0
    table = pd.read_csv(output)
    assert table.p_value.tolist() == [1, 1]
    assert np.isfinite(table.score).all()
    metadata["calibration"] = [-1.0] * 19
    save_model(tmp_path / "model.safetensors", ParameterNetwork(**settings), metadata)
    assert run(good, "-o", output, "--model", tmp_path / "model.safetensors", "--alpha", 0.05, "-f").exit_code == 0
    assert pd.read_csv(output).flagged.all(), "p is 1/20, and flagged where it is at most alpha"


def test_same_input_gives_the_same_bytes(mixed: Path, tmp_path: Path):
    for name in ("a", "b"):
        run(mixed, "-o", tmp_path / f"{name}.csv", "--energy", "mmff94", "--anneals", 1, "--seed", 5)
    assert (tmp_path / "a.csv").read_bytes() == (tmp_path / "b.csv").read_bytes()


@pytest.fixture(autouse=True)
def _one_thread():
    yield
    torch.set_num_threads(1)
