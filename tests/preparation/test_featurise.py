"""Features: every molecule has a row or a reason, and a model reads what it was trained on."""

import csv
import json

import pytest
from click.testing import CliRunner
from rdkit import Chem

from molebm.chem.fingerprints import Maccs, Morgan
from molebm.cli.main import cli
from molebm.errors import RequestError
from molebm.family.features import read_features
from molebm.preparation.featurise import FeatureSettings, featurise
from molebm.preparation.scaffolds import scaffold_split

SMILES = ["CCO", "c1ccccc1O", "CCN", "CC(=O)O", "C1CC1", "CCCl", "COC", "CCS", "C#N", "CC=O", "NCCO", "c1ccncc1"]


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "in.smi"
    path.write_text("\n".join([*(f"{smiles} m{i}" for i, smiles in enumerate(SMILES)), "CCX wrong"]))
    return path


def table(path):
    return list(csv.DictReader(path.read_text().splitlines()))


def run(*arguments):
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def test_featurise_train_and_energies_follow_each_other(source, tmp_path):
    assert run("featurise", source, "-o", tmp_path / "bits", "--features", "maccs", "-q").exit_code == 1
    assert [row["name"] for row in table(tmp_path / "bits" / "failures.csv")] == ["wrong"]
    config = tmp_path / "run.toml"
    config.write_text('model = "rbm"\nhidden = 4\nupdates = 3\n')
    trained = run("train", config, tmp_path / "bits", "-o", tmp_path / "run", "-q")
    assert trained.exit_code == 0, trained.output
    model = tmp_path / "run" / "model.safetensors"
    assert run("energies", source, "--model", model, "-o", tmp_path / "e.csv", "-q").exit_code == 1
    rows = table(tmp_path / "e.csv")
    assert [row["name"] for row in rows] == [*(f"m{i}" for i in range(len(SMILES))), "wrong"]
    assert all(0 < float(row["p_value"]) <= 1 for row in rows[:-1] if row["p_value"])
    assert rows[-1]["status"] != "ok" and not rows[-1]["energy"]


def test_training_is_followed_update_by_update_with_a_seed_of_its_own(source, tmp_path):
    run("featurise", source, "-o", tmp_path / "bits", "--features", "maccs", "-q")
    config = tmp_path / "run.toml"
    config.write_text('model = "rbm"\nhidden = 4\nupdates = 3\nreport_every = 1\nseed = 1\n')
    trained = run("train", config, tmp_path / "bits", "-o", tmp_path / "run", "--seed", 5, "--threads", 1, "--json")
    events = [json.loads(line) for line in trained.stderr.splitlines()]
    assert [one["update"] for one in events if one["event"] == "update"] == [1, 2, 3]
    assert events[-1]["counts"] == {"updates": 3}
    assert json.loads((tmp_path / "run" / "settings.json").read_text())["seed"] == 5


def test_rows_are_split_by_scaffold(source, tmp_path):
    run("featurise", source, "-o", tmp_path / "bits", "-q")
    read = read_features(tmp_path / "bits")
    assert list(read.splits) == [scaffold_split(Chem.MolFromSmiles(smiles)) for smiles in SMILES]


def test_classes_are_read_from_a_data_field(tmp_path):
    path = tmp_path / "in.sdf"
    with Chem.SDWriter(str(path)) as writer:
        for smiles, kind in zip(SMILES, ["sound", "clash", None] * 4, strict=True):
            mol = Chem.MolFromSmiles(smiles)
            if kind:
                mol.SetProp("defect", kind)
            writer.write(mol)
    assert run("featurise", path, "-o", tmp_path / "out", "--label", "defect", "-q").exit_code == 1
    read = read_features(tmp_path / "out")
    assert read.facts["classes"] == ["clash", "sound"]
    assert read.tensors["y"].tolist() == [1, 0] * 4
    failed = json.loads((tmp_path / "out" / "manifest.json").read_text())["failed"]
    assert len(failed) == 4 and "defect" in failed[0]["reason"]


def test_unknown_features_and_settings_are_told(tmp_path):
    with pytest.raises(RequestError, match="known are"):
        list(featurise([], tmp_path / "a", FeatureSettings("smell")))
    with pytest.raises(RequestError, match="n_bit"):
        list(featurise([], tmp_path / "b", FeatureSettings("morgan", {"n_bit": 3})))


@pytest.mark.parametrize("fingerprint", [Morgan(), Maccs()])
def test_bits_and_their_atoms_do_not_depend_on_written_hydrogens(fingerprint):
    mol = Chem.MolFromSmiles("CC(=O)Nc1ccc(O)cc1")
    whole = Chem.AddHs(mol)
    assert fingerprint.bits(mol).equal(fingerprint.bits(whole))
    assert fingerprint.atoms_of_bits(mol) == fingerprint.atoms_of_bits(whole)
    assert sorted(fingerprint.atoms_of_bits(mol)) == fingerprint.bits(mol).nonzero().flatten().tolist()


def test_atoms_of_a_morgan_bit_are_those_around_its_centre():
    mol = Chem.MolFromSmiles("CCCCCCO")
    environments = [atoms for found in Morgan(radius=1).atoms_of_bits(mol).values() for atoms in found]
    assert (6, 5) in environments and (3, 2, 4) in environments
