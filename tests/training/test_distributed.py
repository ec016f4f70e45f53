"""Several processes train one network: equal weights, shards and chains of their own, resumable."""

import os
import subprocess
import sys

import torch

from molebm.models.checkpoint import load_tensors, write_json
from molebm.training.shards import MANIFEST, checksum, write_shard

CONFIG = """
molecules_per_update = 2
columns = 6
[network]
width = 16
hidden = 8
n_layers = 1
[[stages]]
updates = 4
objectives = [
  { objective = "persistent_contrastive_divergence", n_steps = 2 },
  { objective = "force_matching", weight = 0.01 },
]
"""


def train(folder, *options):
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command += ["-m", "molebm.cli.main", "train", "train.toml", "references", "--device", "cpu", *options]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_two_processes_hold_one_network_and_resume_to_the_same_bits(tmp_path, references):
    folder = tmp_path / "references"
    folder.mkdir()
    for index in range(2):
        write_shard(folder / f"shard-{index}.safetensors", references[2 * index : 2 * index + 2])
    entries = [{"file": path.name, "sha256": checksum(path)} for path in sorted(folder.glob("shard-*"))]
    write_json(folder / MANIFEST, {"settings": {}, "shards": entries})
    (tmp_path / "train.toml").write_text(CONFIG)

    train(tmp_path, "-o", "whole")
    train(tmp_path, "-o", "parts", "--stop-after", "2")
    train(tmp_path, "-o", "parts")

    whole = [load_tensors(tmp_path / "whole" / f"checkpoint-00000004.{rank}.safetensors") for rank in range(2)]
    parts = [load_tensors(tmp_path / "parts" / f"checkpoint-00000004.{rank}.safetensors") for rank in range(2)]
    for name, value in whole[0].items():
        if name.startswith(("network.", "average.")):
            assert torch.equal(value, whole[1][name]), name
    assert whole[0]["pool.chain.0"].shape != whole[1]["pool.chain.0"].shape  # of other molecules
    for a, b in zip(whole, parts, strict=True):
        assert all(torch.equal(value, b[name]) for name, value in a.items())
