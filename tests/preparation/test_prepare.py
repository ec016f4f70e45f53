"""Preparation: every molecule is in a shard or named as failed, and scaffolds never leak."""

import json

import pytest
from rdkit import Chem

from molebm.chem.reading import read_molecules
from molebm.errors import RequestError
from molebm.preparation.ensembles import EnsembleSettings
from molebm.preparation.prepare import PreparationSettings, prepare
from molebm.preparation.scaffolds import scaffold_split
from molebm.training.shards import read_references

SETTINGS = PreparationSettings(
    ensemble=EnsembleSettings(n_chains=2, n_frames=1, n_minima=2, equilibration=0.02, between_frames=0.02),
    molecules_per_shard=2,
)


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    source = folder / "in.smi"
    source.write_text("CCO ethanol\nCCX wrong\nCN methylamine\nO=CO formic\n")
    list(prepare(read_molecules(source), folder / "out", SETTINGS, 1))
    return source, folder / "out"


def test_every_molecule_is_prepared_or_named_as_failed(prepared):
    _, folder = prepared
    names = {r.name for split in ("train", "validation", "test") for r in read_references(folder, split)}
    failed = json.loads((folder / "manifest.json").read_text())["failed"]
    assert names == {"ethanol", "methylamine", "formic"}
    assert [entry["name"] for entry in failed] == ["wrong"]


def test_a_second_run_keeps_finished_shards_and_books(prepared):
    source, folder = prepared
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*")}
    manifest = (folder / "manifest.json").read_text()
    list(prepare(read_molecules(source), folder, SETTINGS, 1))
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*")} == before
    assert (folder / "manifest.json").read_text() == manifest


def test_other_settings_need_another_folder(prepared):
    source, folder = prepared
    other = PreparationSettings(ensemble=SETTINGS.ensemble, molecules_per_shard=2, seed=7)
    with pytest.raises(RequestError, match="other settings"):
        list(prepare(read_molecules(source), folder, other, 1))


def test_molecules_with_one_scaffold_share_a_split():
    decorated = ["c1ccncc1", "Cc1ccncc1", "OCc1cccnc1", "Fc1ccncc1C(=O)N"]
    assert len({scaffold_split(Chem.AddHs(Chem.MolFromSmiles(smiles))) for smiles in decorated}) == 1
