"""`molebm calibrate` as it is called from a shell."""

from pathlib import Path

import pandas as pd
import pytest
import torch
from click.testing import CliRunner, Result
from rdkit import Chem

from molebm.cli.main import cli
from molebm.plausibility import load_calibration
from molebm.plausibility.calibration import to_json
from tests.plausibility.conftest import embedded, stretched

MOLECULES = ["C" * length + group for length in range(1, 7) for group in ("O", "N", "C#N", "C=O")]


def run(command: str, *arguments: object) -> Result:
    return CliRunner().invoke(cli, [command, *map(str, arguments)], prog_name="molebm")


def write(path: Path, mols: list[Chem.Mol]) -> Path:
    with Chem.SDWriter(str(path)) as writer:
        for mol in mols:
            writer.write(mol)
    return path


@pytest.fixture(scope="module")
def trusted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("trusted") / "trusted.sdf"
    return write(path, [embedded(smiles) for smiles in MOLECULES])


@pytest.fixture(scope="module")
def ours(trusted: Path) -> Path:
    output = trusted.with_name("ours.json")
    result = run("calibrate", trusted, "-o", output, "--name", "ours")
    assert result.exit_code == 0, result.output
    assert f"{len(MOLECULES)} structures" in result.stderr
    assert "smallest p-value is 0.04" in result.stderr
    return output


@pytest.fixture(autouse=True)
def _one_thread():
    yield
    torch.set_num_threads(1)


def test_source_is_added_and_all_else_stays(ours: Path, trusted: Path):
    made, shipped = to_json(load_calibration(ours)), to_json(load_calibration())
    added = made["sources"].pop("ours")
    assert made == shipped
    assert added["provenance"] == str(trusted)
    assert len(added["heavy_atoms"]) == len(MOLECULES)


def test_structures_are_scored_by_the_source_that_was_added(ours: Path, tmp_path: Path):
    alike = embedded("CCCCCO", seed=1)
    poses = write(tmp_path / "poses.sdf", [alike, stretched(alike, 1, 2, 0.3)])
    output = tmp_path / "scores.csv"
    result = run("score", poses, "-o", output, "--calibration", ours, "--source", "ours")
    assert result.exit_code == 0, result.output
    table = pd.read_csv(output)
    assert table.n_calibration.tolist() == [len(MOLECULES)] * 2
    assert table.flagged.tolist() == [False, True]
    assert table.p_value[1] == pytest.approx(1 / (len(MOLECULES) + 1), rel=1e-7)
    result = run("score", poses, "-o", tmp_path / "other.csv", "--source", "ours")
    assert result.exit_code == 2, "the shipped calibration does not know them"
    assert "calibrate your own" in result.stderr


def test_trusted_structures_are_flagged_as_often_as_alpha_says(ours: Path, trusted: Path, tmp_path: Path):
    """Each counts itself as one that scores as high, or just misses itself for rounding."""
    output = tmp_path / "scores.csv"
    run("score", trusted, "-o", output, "--calibration", ours, "--source", "ours", "--alpha", 0.2)
    allowed = int(0.2 * (len(MOLECULES) + 1))
    assert pd.read_csv(output).flagged.sum() in (allowed - 1, allowed)


def test_too_few_structures_are_a_bad_request_that_leaves_nothing(tmp_path: Path):
    few = write(tmp_path / "few.sdf", [embedded("CCO")] * 19)
    result = run("calibrate", few, "-o", tmp_path / "few.json")
    assert result.exit_code == 2
    assert "19 structures can be scored; a calibration needs at least 20" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["few.sdf"]


def test_structures_that_cannot_be_scored_are_left_out_and_counted(trusted: Path, tmp_path: Path):
    part = tmp_path / "part.sdf"
    unreadable = "broken\n\n\n  9  9  0  0  0  0  0  0  0  0999 V2000\n$$$$\n"
    part.write_text(trusted.read_text() + unreadable)
    with Chem.SDWriter(str(tmp_path / "selenide.sdf")) as writer:
        writer.write(embedded("C[Se]C", relaxed=False))
    part.write_text(part.read_text() + (tmp_path / "selenide.sdf").read_text())
    result = run("calibrate", part, "-o", tmp_path / "part.json")
    assert result.exit_code == 1
    assert f"2 of {len(MOLECULES) + 2} records could not be scored" in result.stderr
    assert load_calibration(tmp_path / "part.json").sources["trusted"].n == len(MOLECULES)


def test_calibration_of_another_energy_is_a_bad_request(trusted: Path, tmp_path: Path):
    result = run("calibrate", trusted, "-o", tmp_path / "mmff94.json", "--energy", "mmff94")
    assert result.exit_code == 2
    assert "of the energy 'learned', not 'mmff94'" in result.stderr


def test_output_in_the_way_is_a_bad_request(trusted: Path, tmp_path: Path):
    (tmp_path / "ours.json").write_text("precious")
    result = run("calibrate", trusted, "-o", tmp_path / "ours.json")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (tmp_path / "ours.json").read_text() == "precious"
