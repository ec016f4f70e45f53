"""A run that is asked to stop does so after the update it is at, with a checkpoint, and goes on to the same bits."""

import json
from pathlib import Path

import torch

from molebm.models.checkpoint import load_tensors, write_json
from molebm.training.config import TrainingConfig
from molebm.training.loop import LATEST, begin_or_resume, train_until_done
from molebm.training.shards import MANIFEST, checksum, write_shard

CONFIG = {"molecules_per_update": 2, "stages": [{"updates": 4, "objectives": [{"objective": "conditional_nce"}]}]}


def train(references: Path, folder: Path, *, asked_to_stop=lambda: False) -> None:
    run = begin_or_resume(TrainingConfig.model_validate(CONFIG), references, folder, torch.device("cpu"))
    for _ in train_until_done(run, references, folder, checkpoint_every=100, asked_to_stop=asked_to_stop):
        pass


def test_run_that_is_asked_to_stop_keeps_every_update(tmp_path, references):
    prepared = tmp_path / "references"
    prepared.mkdir()
    write_shard(prepared / "shard-0.safetensors", references[:3])
    entries = [{"file": path.name, "sha256": checksum(path)} for path in prepared.glob("shard-*")]
    write_json(prepared / MANIFEST, {"settings": {}, "shards": entries})
    train(prepared, tmp_path / "whole")
    for n_updates in (1, 2):  # of two calls, each ended in its first
        train(prepared, tmp_path / "parts", asked_to_stop=lambda: True)
        assert json.loads((tmp_path / "parts" / LATEST).read_text()) == {"update": n_updates}
    train(prepared, tmp_path / "parts")
    whole, parts = (load_tensors(tmp_path / name / "checkpoint-00000004.0.safetensors") for name in ("whole", "parts"))
    assert all(torch.equal(value, parts[name]) for name, value in whole.items())
