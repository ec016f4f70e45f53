"""Models of noised conformers train from a folder of `molebm prepare`, are saved, and make conformers."""

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import RequestError
from molebm.family.checkpoint import load_trained
from molebm.family.conformers import read_conformers
from molebm.family.diffusion_recovery import DiffusionConfig
from molebm.family.score import ScoreConfig
from molebm.family.training import begin_or_resume, train_until_done
from molebm.models.checkpoint import write_json
from molebm.training.shards import Reference, checksum, write_shard

CPU = torch.device("cpu")
SMALL = {"width": 16, "n_layers": 1, "hidden": 16, "n_knots": 3, "batch_size": 2, "columns": 6, "updates": 6}
KINDS = [ScoreConfig(**SMALL, report_every=3, validate_every=3), DiffusionConfig(**SMALL, n_steps=2, report_every=3)]


def reference_of(smiles, split):
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, 4, randomSeed=1)
    x, none = positions_from_mol(mol), torch.zeros(4)
    temperatures = torch.tensor([300.0, 300.0, 500.0, 500.0])
    return Reference(
        smiles, smiles, split, topology_from_mol(mol), x, temperatures, none, torch.zeros_like(x), x, none, x
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("references")
    shard = made / "shard-00000.safetensors"
    splits = {"C[C@H](O)F": "train", "CC=O": "train", "C/C=C/F": "train", "CCO": "validation"}
    write_shard(shard, [reference_of(smiles, split) for smiles, split in splits.items()])
    entry = {"file": shard.name, "sha256": checksum(shard)}
    write_json(made / "manifest.json", {"settings": {}, "shards": [entry], "failed": []})
    return made


@pytest.mark.parametrize("config", KINDS, ids=lambda config: config.model)
def test_run_that_was_cut_off_writes_the_same_model_and_its_energies_are_read_again(config, folder, tmp_path):
    for place, limits in (("whole", {}), ("cut", {"stop_after": 4}), ("cut", {})):
        run = begin_or_resume(config, folder, tmp_path / place, CPU)
        reports = list(train_until_done(run, folder, tmp_path / place, checkpoint_every=2, **limits))
    assert all(torch.isfinite(torch.tensor(report.loss)) for report in reports)
    whole, cut = (tmp_path / place / "model.safetensors" for place in ("whole", "cut"))
    assert whole.read_bytes() == cut.read_bytes()

    loaded = load_trained(whole)
    batch = read_conformers(folder, 2, temperature=300.0).draw(2, torch.Generator().manual_seed(0), CPU)
    torch.testing.assert_close(loaded.model.energy(batch), run.average.energy(batch))
    assert loaded.model.energy(batch).shape == (4,)
    assert len(loaded.metadata["calibration"]) == 2


def test_hierarchy_goes_on_from_a_score_based_model_of_its_size(folder, tmp_path):
    run = begin_or_resume(KINDS[0], folder, tmp_path / "score", CPU)
    list(train_until_done(run, folder, tmp_path / "score", checkpoint_every=6))
    wanted = KINDS[1].model_copy(update={"begin_with": tmp_path / "score" / "model.safetensors"})
    begun = begin_or_resume(wanted, folder, tmp_path / "diffusion", CPU).model
    for name, weight in begun.network.state_dict().items():
        assert torch.equal(weight, run.average.network.state_dict()[name])
    with pytest.raises(RequestError, match="not of the size"):
        begin_or_resume(wanted.model_copy(update={"width": 24}), folder, tmp_path / "other", CPU)


def test_only_conformers_of_one_temperature_are_learned_from(folder):
    data = read_conformers(folder, 6, temperature=500.0)
    assert data.draw(1, torch.Generator().manual_seed(0), CPU).temperatures.unique().tolist() == [500]
    with pytest.raises(RequestError, match="set temperature to one of 300, 500"):
        read_conformers(folder, 6, temperature=310.0)
