"""A training run learns, repeats from its seed, and goes on where it stopped."""

from dataclasses import replace

import pytest
import torch

from molebm.errors import DivergenceError, RequestError
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import load_model, save_model, write_json
from molebm.training.config import TrainingConfig, read_config
from molebm.training.evaluation import agreement, evaluate
from molebm.training.loop import begin_or_resume, train_until_done
from molebm.training.pool import Shards
from molebm.training.run import TrainingRun
from molebm.training.shards import MANIFEST, checksum, read_references, write_shard

CPU = torch.device("cpu")
OBJECTIVES = [
    {"objective": "conditional_nce"},
    {"objective": "info_nce", "negatives": 3},
    {"objective": "contrastive_divergence", "n_steps": 2},
    {"objective": "contrastive_divergence", "n_steps": 2, "sampler": "mala", "regularisation": 1e-3},
    {"objective": "persistent_contrastive_divergence", "n_steps": 2, "restart": 0.5},
    {"objective": "persistent_contrastive_divergence", "n_steps": 2, "tempering": True, "restart_embedded": 0.5},
    {"objective": "denoising_score_matching"},
    {"objective": "multilevel_denoising_score_matching"},
    {"objective": "sliced_score_matching"},
    {"objective": "force_matching", "weight": 0.1},
    {"objective": "boltzmann_cross_entropy"},
]


def settings(*stages, **others):
    return TrainingConfig.model_validate(
        {
            "molecules_per_update": 2,
            "columns": 6,
            "network": {"width": 16, "hidden": 8, "n_layers": 1},
            "pool": {"shards": 1, "visits": 2},
            "stages": stages,
            **others,
        }
    )


PERSISTENT = {"objective": "persistent_contrastive_divergence", "n_steps": 2, "restart": 0.5}
SMALL = settings(
    {"updates": 2, "objectives": [{"objective": "conditional_nce"}]}, {"updates": 5, "objectives": [PERSISTENT]}
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, references):
    """Two shards of two molecules each."""
    folder = tmp_path_factory.mktemp("references")
    for index in range(2):
        write_shard(folder / f"shard-{index}.safetensors", references[2 * index : 2 * index + 2])
    write_manifest(folder)
    return folder


def write_manifest(folder):
    entries = [{"file": path.name, "sha256": checksum(path)} for path in sorted(folder.glob("shard-*"))]
    write_json(folder / MANIFEST, {"settings": {}, "shards": entries})


def start(config, folder):
    return TrainingRun(config, Shards(sorted(folder.glob("shard-*")), "train", 0), CPU)


def advance_to_the_end(run):
    while run.n_updates < run.config.total_updates:
        run.advance()


def weights(run):
    return torch.cat([w.flatten() for w in [*run.network.parameters(), *run.average.parameters()]])


def test_a_seed_gives_the_same_bits(folder):
    first, second = (start(SMALL, folder) for _ in range(2))
    for _ in range(7):
        assert first.advance() == second.advance()
    assert torch.equal(weights(first), weights(second))


@pytest.mark.parametrize("stop", [1, 3, 5])
def test_a_resumed_run_ends_where_the_uninterrupted_one_does(folder, tmp_path, stop):
    whole, begun, resumed = (start(SMALL, folder) for _ in range(3))
    for _ in range(7):
        whole.advance()
    for _ in range(stop):
        begun.advance()
    begun.save(tmp_path / "checkpoint.safetensors")
    resumed.restore(tmp_path / "checkpoint.safetensors")
    for _ in range(7 - stop):
        resumed.advance()
    assert torch.equal(weights(whole), weights(resumed))


def test_a_run_cut_off_between_checkpoints_goes_on_from_the_last(folder, tmp_path):
    def train(where, reports):
        run = begin_or_resume(SMALL.model_copy(update={"report_every": 1}), folder, where, CPU)
        for _, _report in zip(range(reports), train_until_done(run, folder, where, checkpoint_every=2), strict=False):
            pass
        return run

    train(tmp_path / "cut", 5)  # the last checkpoint is that of update 4
    resumed, whole = train(tmp_path / "cut", 99), train(tmp_path / "whole", 99)
    assert torch.equal(weights(whole), weights(resumed))
    assert len(list((tmp_path / "cut").glob("checkpoint-*"))) == 1


def test_a_folder_with_another_run_is_refused(folder, tmp_path):
    begin_or_resume(SMALL, folder, tmp_path / "run", CPU)
    with pytest.raises(RequestError, match="other settings"):
        begin_or_resume(SMALL.model_copy(update={"seed": 1}), folder, tmp_path / "run", CPU)


@pytest.mark.parametrize("objective", OBJECTIVES, ids=lambda o: "-".join(map(str, o.values())))
def test_every_objective_moves_the_weights(folder, objective):
    run = start(settings({"updates": 3, "objectives": [objective]}), folder)
    before = weights(run)
    updates = [run.advance() for _ in range(3)]
    assert all(torch.isfinite(torch.tensor([update.loss, update.gradient_norm])).all() for update in updates)
    assert not torch.equal(weights(run), before)


@pytest.mark.parametrize("objective", ["conditional_nce", "persistent_contrastive_divergence", "force_matching"])
def test_a_residual_is_trained_with_the_network_and_saved(folder, tmp_path, objective):
    stages = {"updates": 4, "objectives": [{"objective": objective}]}
    run = start(settings(stages, residual={"width": 8, "n_layers": 1}), folder)
    for _ in range(4):
        run.advance()
    model = run.model()
    save_model(tmp_path / "model", model.network, model.metadata, model.residual)
    loaded = load_model(tmp_path / "model.safetensors")
    reference = next(read_references(folder, "train"))
    topology, x = reference.topology, reference.positions
    with_residual = loaded.energy(topology)(x)
    torch.testing.assert_close(with_residual, model.energy(topology)(x), rtol=1e-5, atol=1e-3)  # read in double
    assert not torch.equal(with_residual, MechanicalEnergy(topology, loaded.parameters(topology))(x))


def test_objectives_of_a_stage_are_weighed_and_summed(folder):
    def first_loss(*objectives):
        return start(settings({"updates": 1, "objectives": objectives}), folder).advance().loss

    forces = first_loss({"objective": "force_matching"})
    minima = first_loss({"objective": "boltzmann_cross_entropy"})
    both = first_loss({"objective": "force_matching", "weight": 0.5}, {"objective": "boltzmann_cross_entropy"})
    assert both == pytest.approx(0.5 * forces + minima, rel=1e-5)


@pytest.mark.parametrize("objective", ["conditional_nce", "force_matching"])
def test_the_first_updates_move_the_bonds_towards_the_reference(folder, objective):
    """From priors alone to better than they are; conditional NCE is shown no energy or force."""
    run = start(settings({"updates": 60, "objectives": [{"objective": objective}]}), folder)
    unseen = list(read_references(folder, "train"))
    before = evaluate(run.model(), unseen, None).rmse
    for _ in range(60):
        run.advance()
    assert evaluate(run.model(), unseen, None).rmse.mean() < before.mean()


@pytest.mark.parametrize("objective", ["conditional_nce", "force_matching", "persistent_contrastive_divergence"])
def test_a_molecule_that_is_no_number_is_named_and_reaches_no_other(tmp_path, references, objective):
    broken = replace(references[0], name="broken", positions=torch.full_like(references[0].positions, torch.nan))
    write_shard(tmp_path / "shard-0.safetensors", [broken, references[1]])
    run = start(settings({"updates": 3, "objectives": [{"objective": objective}]}), tmp_path)
    before = weights(run)
    for _ in range(3):
        update = run.advance()
        assert update.lost["broken"] > 0
        assert update.lost[references[1].name] == 0
    assert torch.isfinite(weights(run)).all()
    assert not torch.equal(weights(run), before)


def test_a_run_that_loses_its_chains_stops_and_names_the_molecule(tmp_path, references):
    broken = replace(references[0], name="broken", positions=torch.full_like(references[0].positions, torch.nan))
    write_shard(tmp_path / "shard-0.safetensors", [broken])
    run = start(settings({"updates": 99, "objectives": [PERSISTENT]}), tmp_path)
    with pytest.raises(DivergenceError, match="'broken'"):
        advance_to_the_end(run)


def test_a_step_that_is_too_long_is_shortened(folder):
    run = start(settings({"updates": 9, "objectives": [{**PERSISTENT, "time_step": 30.0}]}), folder)
    scales = [run.advance().step_scale for _ in range(9)]
    assert scales[-1] < scales[0] < 1


def test_agreement_is_perfect_with_itself_up_to_an_offset():
    energy = torch.randn(3, 20, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    found = agreement(2 * energy + 5, energy)
    torch.testing.assert_close(found.pearson, torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found.slope, 2 * torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found.rmse, found.spread)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[pool]\nsize = 1\n", "pool.size"),
        ('[[stages]]\nupdates = 5\nobjectives = [{ objective = "conditional_nce", step = 1 }]\n', "step"),
        ('[[stages]]\nupdates = 5\nobjectives = [{ objective = "magic" }]\n', "conditional_nce"),
        ("columns = 10\n", "10 columns"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path, text, named):
    path = tmp_path / "train.toml"
    path.write_text(text)
    with pytest.raises(RequestError, match=named):
        read_config(path)


def test_an_empty_file_means_the_defaults(tmp_path):
    path = tmp_path / "train.toml"
    path.write_text("")
    assert read_config(path) == TrainingConfig()
