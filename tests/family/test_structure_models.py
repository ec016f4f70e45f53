"""Models of single structures, from a file of records to a table of energies, as they are called from a shell."""

from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner, Result
from rdkit import Chem

from molebm.cli.main import cli
from tests.plausibility.conftest import embedded

MOLECULES = ("CCO", "CC(C)N", "c1ccccc1O", "CC(=O)NC", "C1CCOCC1", "CCCCS", "FC(F)CO", "c1ccncc1", "OCC=C", "CC#N")


def molebm(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [*map(str, arguments), "--quiet"], prog_name="molebm")


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Structures, every other one said to be odd, and a record without coordinates that is said to be neither."""
    path = tmp_path_factory.mktemp("structures") / "in.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for place, smiles in enumerate(MOLECULES):
            mol = embedded(smiles)
            mol.SetProp("parity", ("even", "odd")[place % 2])
            writer.write(mol)
        writer.write(Chem.MolFromSmiles("CCC"))
    return path


@pytest.mark.parametrize(
    ("kind", "features", "settings"),
    [
        ("cnn", ("grid", "--setting", "shifted=true"), "widths = [2, 2]\nbatch_size = 4"),
        ("cnn", ("grid",), 'widths = [2]\nobjective = "cd"\nstiffness = 1.0\nchains = 8\nn_steps = 2\nbatch_size = 4'),
        ("jem", ("maccs", "--label", "parity"), "width = 8\nchains = 16\nn_steps = 2\nbatch_size = 8"),
    ],
)
def test_structures_become_features_a_model_and_energies(
    records: Path, tmp_path: Path, kind: str, features: tuple[str, ...], settings: str
):
    config = tmp_path / "run.toml"
    config.write_text(f'model = "{kind}"\nupdates = 3\n{settings}\n')
    made = molebm("featurise", records, "-o", tmp_path / "features", "--features", *features)
    assert made.exit_code == 1, made.output  # the last record
    trained = molebm("train", config, tmp_path / "features", "-o", tmp_path / "run")
    assert trained.exit_code == 0, trained.output
    table = tmp_path / "energies.csv"
    told = molebm("energies", records, "--model", tmp_path / "run" / "model", "-o", table)
    assert told.exit_code == (1 if kind == "cnn" else 0), told.output  # bits need no coordinates
    found = pd.read_csv(table)
    assert found.energy[:-1].notna().all()
    assert pd.isna(found.energy.iloc[-1]) == (kind == "cnn")
    assert list(found.columns[5:]) == (["p_even", "p_odd"] if kind == "jem" else [])
