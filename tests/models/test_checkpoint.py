"""Models on disk: what is saved is what is loaded, and damage is told."""

import json

import pytest
import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.errors import CheckpointError
from molebm.models.checkpoint import load_model, save_model
from molebm.models.network import ParameterNetwork

SIZE = {"width": 16, "hidden": 8, "n_layers": 1}


@pytest.fixture
def saved(tmp_path):
    network = ParameterNetwork(**SIZE)
    save_model(tmp_path / "model", network, {"network": SIZE, "note": "small"})
    return tmp_path / "model.safetensors", network


def test_a_loaded_model_predicts_what_the_saved_one_did(saved):
    path, network = saved
    topology = topology_from_mol(Chem.AddHs(Chem.MolFromSmiles("CCO")))
    model = load_model(path)
    assert model.metadata["note"] == "small"
    assert torch.equal(model.parameters(topology).bond_length, network(topology).bond_length.detach())


def test_a_missing_model_says_what_to_name(tmp_path):
    with pytest.raises(CheckpointError, match="safetensors"):
        load_model(tmp_path / "nothing.safetensors")


def test_damaged_weights_are_told(saved):
    path, _ = saved
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match="damaged"):
        load_model(path)


def test_weights_of_another_size_are_told(saved):
    path, _ = saved
    settings = path.with_suffix(".json")
    content = json.loads(settings.read_text())
    settings.write_text(json.dumps({**content, "network": {**SIZE, "width": 24}}))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_model(path)
