"""Prepared ensembles on disk come back as they were written, or say that they are damaged."""

from dataclasses import replace

import pytest
import torch

from molebm.errors import CheckpointError
from molebm.models.checkpoint import write_json
from molebm.training.shards import MANIFEST, checksum, is_finite, read_references, read_shard, write_shard


@pytest.fixture
def folder(tmp_path, references):
    splits = ["train", "test", "train", "validation"]
    path = tmp_path / "shard-00000.safetensors"
    write_shard(path, [replace(r, split=split) for r, split in zip(references, splits, strict=True)])
    write_json(tmp_path / MANIFEST, {"shards": [{"file": path.name, "sha256": checksum(path)}]})
    return tmp_path


def test_molecules_come_back_as_they_were_written(folder, references):
    for before, after in zip(references, read_shard(folder / "shard-00000.safetensors"), strict=True):
        assert (after.name, after.smiles) == (before.name, before.smiles)
        assert torch.equal(after.topology.pairs, before.topology.pairs)
        for name in ("positions", "temperatures", "energies", "forces", "minima", "minima_energies", "starts"):
            assert torch.equal(getattr(after, name), getattr(before, name)), name


def test_a_split_holds_only_its_own_molecules(folder):
    assert [r.name for r in read_references(folder, "train")] == ["molecule-0", "molecule-2"]
    assert [r.name for r in read_references(folder, "test")] == ["molecule-1"]


def test_a_shard_that_changed_is_refused(folder):
    path = folder / "shard-00000.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="manifest"):
        list(read_references(folder, "train"))


def test_an_unfinished_folder_says_what_to_do(tmp_path):
    with pytest.raises(CheckpointError, match="molebm prepare"):
        list(read_references(tmp_path, "train"))


def test_a_sample_that_is_not_finite_is_noticed(references):
    assert is_finite(references[0])
    energies = references[0].energies.clone()
    energies[-1] = float("nan")
    assert not is_finite(replace(references[0], energies=energies))
