"""Training on whatever device there is, from tensors alone: nothing here needs a chemistry package."""

import pytest
import torch

from molebm.topology import ATOM_FEATURE_SIZES, BOND_FEATURE_SIZES, Topology
from molebm.training.config import TrainingConfig
from molebm.training.pool import Shards
from molebm.training.run import TrainingRun
from molebm.training.shards import Reference, write_shard

DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
OBJECTIVES = [
    "conditional_nce",
    "info_nce",
    "contrastive_divergence",
    "persistent_contrastive_divergence",
    "denoising_score_matching",
    "multilevel_denoising_score_matching",
    "sliced_score_matching",
    "force_matching",
    "boltzmann_cross_entropy",
]
N_SAMPLES = 6


def indices(rows, *columns):
    return torch.tensor(columns, dtype=torch.int64).reshape(-1, rows).T.contiguous()


def water():
    """H-O-H, written out by hand."""
    return Topology(
        atomic_numbers=torch.tensor([1, 8, 1]),
        formal_charges=torch.zeros(3, dtype=torch.int64),
        atom_features=torch.tensor([[0, 3, 0]] + [[0, 0, 0]] * (len(ATOM_FEATURE_SIZES) - 1)),
        molecule=torch.zeros(3, dtype=torch.int64),
        bonds=indices(2, 0, 1, 1, 2),
        bond_features=torch.zeros((len(BOND_FEATURE_SIZES), 2), dtype=torch.int64),
        angles=indices(3, 0, 1, 2),
        angle_bonds=indices(2, 0, 1),
        torsions=indices(4),
        torsion_bonds=indices(3),
        impropers=indices(4),
        pairs=indices(2),
        pairs_14=torch.zeros(0, dtype=torch.bool),
        stereo_centres=indices(4),
        stereo_signs=torch.zeros(0, dtype=torch.int64),
        stereo_bonds=indices(4),
        stereo_cis=torch.zeros(0, dtype=torch.bool),
    )


@pytest.fixture
def shard(tmp_path):
    bent = torch.tensor([[0.96, 0.0, -0.24], [0.0, 0.0, 0.93], [0.0, 0.0, 0.0]])  # (3, N) Å
    noise = 0.03 * torch.randn((3, 3, N_SAMPLES), generator=torch.Generator().manual_seed(0))
    positions = bent[:, :, None] + noise
    reference = Reference(
        name="water",
        smiles="O",
        split="train",
        topology=water(),
        positions=positions,
        temperatures=torch.tensor([300.0, 500.0, 800.0]).repeat(N_SAMPLES // 3),
        energies=noise.square().sum((0, 1)),
        forces=-noise,
        minima=positions[:, :, :2].contiguous(),
        minima_energies=torch.tensor([0.0, 1.0]),
        starts=positions[:, :, :2].contiguous(),
    )
    write_shard(tmp_path / "shard.safetensors", [reference])
    return Shards([tmp_path / "shard.safetensors"], "train", 0)


def start(shard, objective, device, **others):
    settings = {"network": {"width": 16, "hidden": 8, "n_layers": 1}, "columns": N_SAMPLES, **others}
    stages = [{"updates": 3, "objectives": [{"objective": objective}]}]
    return TrainingRun(TrainingConfig.model_validate({**settings, "stages": stages}), shard, torch.device(device))


def weights(run):
    return torch.cat([w.detach().flatten().cpu() for w in run.network.parameters()])


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_every_objective_trains(shard, objective, device, precision):
    run = start(shard, objective, device, precision=precision)
    before = weights(run)
    for _ in range(3):
        update = run.advance()
        assert torch.isfinite(torch.tensor(update.loss))
    assert not torch.equal(weights(run), before)


@pytest.mark.parametrize("device", DEVICES)
def test_a_resumed_run_goes_on(shard, tmp_path, device):
    run, other = (start(shard, "persistent_contrastive_divergence", device) for _ in range(2))
    run.advance()
    run.save(tmp_path / "checkpoint.safetensors")
    other.restore(tmp_path / "checkpoint.safetensors")
    torch.testing.assert_close(weights(other), weights(run), rtol=0, atol=0)
    assert other.advance().loss == pytest.approx(run.advance().loss, rel=1e-3)


@pytest.mark.gpu
def test_forces_teach_a_gpu_what_they_teach_a_cpu(shard):
    here, there = start(shard, "force_matching", "cpu"), start(shard, "force_matching", "cuda")
    for _ in range(3):
        assert there.advance().loss == pytest.approx(here.advance().loss, rel=1e-2)
