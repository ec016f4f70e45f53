"""Training of the family: the same bits however often it was cut off, and what it writes can be read."""

import json
from pathlib import Path

import pytest
import torch

import molebm
from molebm.errors import CheckpointError, RequestError
from molebm.family.checkpoint import TrainedEnergy, load_trained, save_trained
from molebm.family.config import FamilyConfig
from molebm.family.features import read_features, write_features
from molebm.family.rbm import RbmConfig, RestrictedBoltzmannMachine
from molebm.family.registry import KINDS, model_class, read_family_config
from molebm.family.run import FamilyRun
from molebm.family.training import begin_or_resume, train_until_done
from molebm.models.checkpoint import LearnedModel, write_json
from molebm.training.shards import checksum

EXAMPLES = Path(__file__).resolve().parents[2] / "workflows" / "family"
CPU = torch.device("cpu")
SHORT = RbmConfig(hidden=4, objective="pcd", updates=12, batch_size=8, chains=8, report_every=4, validate_every=6)


@pytest.fixture
def folder(bits, tmp_path):
    """The bits as `molebm featurise` would write them."""
    shard = tmp_path / "bits" / "shard-00000.safetensors"
    shard.parent.mkdir()
    rows = [{"x": row} for row in bits.tensors["x"]]
    write_features(shard, rows, {"names": bits.names, "smiles": bits.names, "splits": bits.splits})
    entry = {"file": shard.name, "sha256": checksum(shard)}
    write_json(shard.parent / "manifest.json", {"settings": {}, "shards": [entry], "failed": [], **bits.facts})
    return shard.parent


def train(folder, run_folder, **limits):
    run = begin_or_resume(SHORT, folder, run_folder, CPU)
    return list(train_until_done(run, folder, run_folder, checkpoint_every=5, **limits))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_found_and_says_what_it_is(kind):
    found = model_class(kind)
    assert found.kind == kind
    assert issubclass(found.Config, FamilyConfig)
    assert found.Config.model_fields["model"].default == kind


def test_run_that_was_cut_off_ends_with_the_same_bits(folder, tmp_path):
    train(folder, tmp_path / "whole")
    train(folder, tmp_path / "cut", stop_after=7)
    train(folder, tmp_path / "cut")
    for name in ("model.safetensors", "checkpoint-00000012.safetensors", "model.json"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def test_features_are_read_as_they_were_written(bits, folder):
    read = read_features(folder)
    assert torch.equal(read.tensors["x"], bits.tensors["x"])
    assert (list(read.splits), list(read.names), read.facts) == (list(bits.splits), list(bits.names), bits.facts)


def test_training_draws_from_the_training_split_alone(bits):
    bits.tensors["x"][bits.rows("validation")] = 1
    bits.tensors["x"][bits.rows("train")] = 0
    assert not bits.draw(500, torch.Generator().manual_seed(0), CPU)["x"].any()


def test_model_is_loaded_as_it_was_saved_with_the_energies_of_held_out_molecules(bits, folder, tmp_path):
    reports = train(folder, tmp_path / "run")
    loaded = molebm.load_model(tmp_path / "run" / "model.safetensors")
    assert isinstance(loaded, TrainedEnergy)
    held_out = loaded.model.energy(bits.tensors["x"][bits.rows("validation")].float())
    assert loaded.metadata["calibration"] == pytest.approx(sorted(held_out.tolist()))
    assert reports[-1].validation["energy"] == pytest.approx(held_out.mean().item(), rel=1e-5)


def test_energy_of_conformers_is_still_found_by_the_same_call():
    assert isinstance(molebm.load_model(), LearnedModel)


def test_folder_of_another_run_is_left_alone(folder, tmp_path):
    train(folder, tmp_path / "run", stop_after=1)
    with pytest.raises(RequestError, match="other settings"):
        begin_or_resume(SHORT.model_copy(update={"seed": 1}), folder, tmp_path / "run", CPU)


def test_seed_decides_the_model(bits):
    runs = [FamilyRun(RestrictedBoltzmannMachine, RbmConfig(hidden=4, seed=seed), bits, CPU) for seed in (0, 0, 1)]
    first, again, other = (run.model.weights for run in runs)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_settings_that_cannot_be_are_told(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text('model = "rbm"\nhidden = 0')
    with pytest.raises(RequestError, match="hidden"):
        read_family_config(path)
    path.write_text('model = "perceptron"')
    with pytest.raises(RequestError, match="known are rbm"):
        read_family_config(path)
    path.write_text("seed = 1")
    assert read_family_config(path) is None


@pytest.mark.parametrize("path", sorted(EXAMPLES.glob("*.toml")), ids=lambda path: path.stem)
def test_settings_that_ship_as_examples_are_accepted(path):
    assert read_family_config(path).model in KINDS


def test_weights_that_do_not_fit_are_told(tmp_path):
    save_trained(tmp_path / "m", TrainedEnergy(RestrictedBoltzmannMachine(5, 2), {}))
    content = json.loads((tmp_path / "m.json").read_text())
    write_json(tmp_path / "m.json", {**content, "settings": {"visible": 6, "hidden": 2}})
    with pytest.raises(CheckpointError, match="do not fit"):
        load_trained(tmp_path / "m")
