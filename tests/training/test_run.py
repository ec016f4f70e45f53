"""A training run learns, repeats from its seed, and goes on where it stopped."""

import pytest
import torch

from molebm.errors import RequestError
from molebm.training.config import TrainingConfig, read_config
from molebm.training.evaluation import agreement, evaluate
from molebm.training.replay_buffer import ReplayBuffer, draw_data
from molebm.training.run import TrainingRun

CPU = torch.device("cpu")
SMALL = TrainingConfig.model_validate(
    {
        "molecules_per_update": 2,
        "columns": 6,
        "network": {"width": 16, "hidden": 8, "n_layers": 1},
        "warm_up": {"updates": 2},
        "contrast": {"updates": 3, "n_steps": 2, "restart": 0.5},
    }
)


def weights(run):
    return torch.cat([w.flatten() for w in [*run.network.parameters(), *run.average.parameters()]])


def test_a_seed_gives_the_same_bits(references):
    first, second = (TrainingRun(SMALL, references, CPU) for _ in range(2))
    for _ in range(5):
        assert first.advance() == second.advance()
    assert torch.equal(weights(first), weights(second))


def test_a_resumed_run_ends_where_the_uninterrupted_one_does(references, tmp_path):
    whole, begun, resumed = (TrainingRun(SMALL, references, CPU) for _ in range(3))
    for _ in range(5):
        whole.advance()
    for _ in range(3):
        begun.advance()
    begun.save(tmp_path / "checkpoint.safetensors")
    resumed.restore(tmp_path / "checkpoint.safetensors")
    for _ in range(2):
        resumed.advance()
    assert torch.equal(weights(whole), weights(resumed))


def test_the_first_updates_move_the_bonds_towards_the_reference(references):
    """From priors alone to better than they are, with no energy or force shown."""
    config = SMALL.model_copy(update={"warm_up": SMALL.warm_up.model_copy(update={"updates": 60})})
    run = TrainingRun(config, references, CPU)
    before = evaluate(run.model(), references, None).rmse
    for _ in range(60):
        run.advance()
    assert evaluate(run.model(), references, None).rmse.mean() < before.mean()


def test_a_chain_keeps_its_temperature(references):
    temperatures = torch.tensor([300.0, 500.0, 800.0, 300.0])
    generator = torch.Generator().manual_seed(0)
    drawn = draw_data(references[0], temperatures, generator)
    for column, temperature in enumerate(temperatures):
        same = (references[0].positions == drawn[:, :, column : column + 1]).all(0).all(0)
        assert references[0].temperatures[same].tolist() == [temperature]


def test_an_exploded_chain_restarts_from_data_and_its_neighbours_stay(references):
    temperatures = torch.tensor([300.0, 500.0])
    buffer = ReplayBuffer(references, temperatures, torch.Generator().manual_seed(0))
    width = references[1].topology.n_atoms
    stopped = torch.full((3, width, 2), 9.0)
    stopped[:, :, 1] = float("nan")
    buffer.put([1], stopped, torch.tensor([[True, False]]), references)
    assert (buffer.chains[1][:, :, 0] == 9).all()
    assert torch.equal(buffer.chains[1][:, :, 1], references[1].positions[:, :, 0])


def test_agreement_is_perfect_with_itself_up_to_an_offset():
    energy = torch.randn(3, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = agreement(2 * energy + 5, energy)
    torch.testing.assert_close(found.pearson, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found.slope, 2 * torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found.rmse, found.spread)


def test_an_unknown_setting_is_named(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text("[contrast]\nstep_size = 1\n")
    with pytest.raises(RequestError, match="contrast.step_size"):
        read_config(path)


def test_an_empty_file_means_the_defaults(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text("")
    assert read_config(path) == TrainingConfig()
