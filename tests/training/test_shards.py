"""Prepared ensembles on disk come back as they were written, or say that they are damaged."""

import pytest
import torch

from molebm.errors import CheckpointError
from molebm.models.checkpoint import write_json
from molebm.topology import concatenate
from molebm.training.shards import MANIFEST, Shard, checksum, read_references, read_shard, write_shard


@pytest.fixture
def folder(tmp_path, references):
    shard = Shard(
        names=[r.name for r in references],
        smiles=[r.smiles for r in references],
        splits=["train", "test", "train", "validation"],
        topology=concatenate([r.topology for r in references]),
        positions=torch.cat([r.positions for r in references], dim=1),
        temperatures=references[0].temperatures,
        energies=torch.stack([r.energies for r in references]),
        minima=torch.cat([r.minima for r in references], dim=1),
    )
    path = tmp_path / "shard-00000.safetensors"
    write_shard(path, shard)
    write_json(tmp_path / MANIFEST, {"shards": [{"file": path.name, "sha256": checksum(path)}]})
    return tmp_path


def test_molecules_come_back_as_they_were_written(folder, references):
    for before, after in zip(references, read_shard(folder / "shard-00000.safetensors"), strict=True):
        assert (after.name, after.smiles) == (before.name, before.smiles)
        assert torch.equal(after.topology.pairs, before.topology.pairs)
        for name in ("positions", "temperatures", "energies", "minima"):
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
