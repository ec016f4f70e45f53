import csv
import os
from dataclasses import fields
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rdkit import Chem

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.cli import main
from molebm.cli.failures import FAILURE_COLUMNS, failures_path
from molebm.cli.options import ENERGY_NAMES
from molebm.conformers.outcomes import Failure
from molebm.conformers.settings import GenerationSettings
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.parametrise import ENERGIES, mmff

LINES = """\
CCCO propanol
C1CC unclosed
C[C@H](F)Cl one of two
[Na+].[Cl-] salt
"""


def run(*arguments: str | Path) -> Result:
    fixed = ["--energy", "mmff94", "--device", "cpu", "--threads", "1", "-n", "3"]
    fixed += ["--environment", "vacuum", "--choose", "lowest"]  # minima of the energy itself
    return CliRunner().invoke(main.cli, ["generate", *map(str, arguments), *fixed], prog_name="molebm")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Where a run with two bad lines has written its files."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "in.smi").write_text(LINES)
    result = run(folder / "in.smi", "-o", folder / "out.sdf", "--seed", "3")
    assert result.exit_code == 1, result.output
    assert "2 of 4 molecules failed" in result.stderr
    return folder


@pytest.fixture(scope="module")
def written(folder) -> list[Chem.Mol]:
    return list(Chem.SDMolSupplier(str(folder / "out.sdf"), removeHs=False))


def test_titles_are_the_names_in_the_order_of_the_input(written):
    assert list(dict.fromkeys(mol.GetProp("_Name") for mol in written)) == ["propanol", "one of two"]


def test_energies_rise_and_weights_sum_to_one(written):
    for name in ("propanol", "one of two"):
        mols = [mol for mol in written if mol.GetProp("_Name") == name]
        relative = [mol.GetDoubleProp("relative_energy_kcal_mol") for mol in mols]
        assert relative[0] == 0
        assert relative == sorted(relative)
        assert sum(mol.GetDoubleProp("boltzmann_weight") for mol in mols) == pytest.approx(1, abs=1e-6)


def test_energy_is_that_of_the_written_coordinates(written):
    """Coordinates are rounded to 1e-4 Å, which near a minimum matters to second order only."""
    for mol in written:
        topology = topology_from_mol(mol)
        energy = MechanicalEnergy(topology, mmff()([mol], topology))(positions_from_mol(mol))
        assert float(energy) == pytest.approx(mol.GetDoubleProp("energy_kcal_mol"), abs=2e-3)


def test_written_molecule_is_the_one_that_was_asked_for(written):
    assert {Chem.MolToSmiles(Chem.RemoveHs(mol)) for mol in written} == {"CCCO", Chem.CanonSmiles("C[C@H](F)Cl")}
    assert all(conformer.Is3D() for mol in written for conformer in mol.GetConformers())


def test_failures_say_what_and_why_and_what_to_do(folder):
    with (folder / "out.failures.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == ["unclosed", "salt"]
    assert [row["input"] for row in rows] == ["C1CC", "[Na+].[Cl-]"]
    assert "unclosed ring" in rows[0]["reason"]
    assert all(row["cure"] for row in rows)
    assert tuple(rows[0]) == FAILURE_COLUMNS == ("record", *Failure.__slots__)


def test_nothing_else_is_left_behind(folder):
    assert {"in.smi", "out.sdf", "out.failures.csv"} <= set(os.listdir(folder))
    assert not [name for name in os.listdir(folder) if name.endswith(".part")]


def test_same_seed_writes_the_same_bytes(folder):
    assert run(folder / "in.smi", "-o", folder / "again.sdf", "--seed", "3").exit_code == 1
    assert (folder / "again.sdf").read_bytes() == (folder / "out.sdf").read_bytes()


@pytest.mark.parametrize("in_the_way", ["out.sdf", "out.failures.csv"])
def test_existing_output_is_not_overwritten(tmp_path, in_the_way):
    (tmp_path / in_the_way).write_text("precious")
    result = run("CO", "-o", tmp_path / "out.sdf")
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert (tmp_path / in_the_way).read_text() == "precious"


def test_force_replaces_both_files_and_success_exits_with_0(tmp_path):
    for name in ("out.sdf", "out.failures.csv"):
        (tmp_path / name).write_text("old")
    result = run("CO methanol", "-o", tmp_path / "out.sdf", "--force", "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    assert (tmp_path / "out.sdf").read_text().startswith("methanol\n")
    assert not (tmp_path / "out.failures.csv").exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["missing.smi"], "does not exist"),
        (["not a molecule"], "neither a file nor SMILES"),
        (["CO", "--rmsd", "-1"], "0 Å or more"),
        (["CO", "--temperature", "0"], "above 0 K"),
        (["CO", "--model", "x.safetensors"], "no model to load"),
        (["CO", "--shard", "0/4"], "add 1"),
        (["CO", "--shard", "third"], "3/10"),
    ],
)
def test_bad_request_exits_with_2_and_writes_nothing(tmp_path, arguments, said):
    result = run(*arguments, "-o", tmp_path / "out.sdf")
    assert result.exit_code == 2
    assert said in result.stderr
    assert not list(tmp_path.iterdir())


def test_run_that_ends_badly_leaves_no_output(tmp_path, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr("molebm.conformers.generation.generate_records", interrupted)
    assert run("CO", "-o", tmp_path / "out.sdf").exit_code == 130
    assert not list(tmp_path.iterdir())


def test_failure_in_every_way_of_writing_is_one_row(tmp_path):
    (tmp_path / "in.csv").write_text('smiles,name\n"C(,C","a, ""b"""\n')
    assert run(tmp_path / "in.csv", "-o", tmp_path / "out.sdf").exit_code == 1
    with (tmp_path / "out.failures.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["input"], row["name"]) == ("C(,C", 'a, "b"')


def test_failures_stand_beside_the_output():
    assert failures_path(Path("a/conformers.sdf")) == Path("a/conformers.failures.csv")
    assert failures_path(Path("my.conformers.sdf.gz")) == Path("my.conformers.failures.csv")


def test_help_shows_examples_and_the_defaults_of_the_library():
    result = CliRunner().invoke(main.cli, ["generate", "--help"], prog_name="molebm", terminal_width=200)
    assert result.exit_code == 0
    assert "molebm generate drugs.smi -o conformers.sdf" in result.output
    options = {option.name: option.default for option in main.load_command("generate").params}
    settings = GenerationSettings()
    kept_by_the_command = {"model", "start_model", "device", "compile", "vibrations"}  # the last a flag
    for name in {field.name for field in fields(settings)} - kept_by_the_command:
        assert options[name] == getattr(settings, name)
    assert tuple(ENERGY_NAMES) == ENERGIES
