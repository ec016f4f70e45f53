"""`molebm prepare-openmm`: residues or a system of one's own."""

import pytest
from click.testing import CliRunner

from molebm.cli.main import cli
from molebm.cli.prepare_openmm import _SOLVENTS
from molebm.references.peptides import SOLVENTS
from molebm.training.shards import read_references


def invoke(*arguments: str):
    return CliRunner().invoke(cli, ["prepare-openmm", *arguments])


def test_residues_become_references(tmp_path):
    short = ["--solvent", "none", "--runs", "1", "--frames", "1", "--between", "0.5", "--temperature", "300"]
    result = invoke("GLY", *short, "-o", str(tmp_path), "--threads", "1")
    assert result.exit_code == 0, result.output
    assert [r.name for r in read_references(tmp_path, "train")] == ["ACE-GLY-NME"]
    assert "1 of 1 molecules" in result.stderr


def test_solvents_are_those_of_the_library():
    assert _SOLVENTS == SOLVENTS


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "name residues"),
        (["XYZ"], "'XYZ'"),
        (["ALA", "--hold-out", "GLY"], "GLY"),
        (["ALA", "--solvent", "beer"], "beer"),
        (["ALA", "--system", "system.xml"], "give both"),
        (["--system", "missing.xml", "--structure", "missing.sdf"], "missing.xml"),
    ],
)
def test_a_wrong_request_is_told(tmp_path, arguments, said):
    result = invoke(*arguments, "-o", str(tmp_path / "out"))
    assert result.exit_code == 2
    assert said in result.stderr
