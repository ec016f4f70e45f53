"""The training loop as a generator: it trains, checks, saves and reports; the caller watches."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch

import molebm
from molebm.errors import RequestError
from molebm.models.checkpoint import save_model, write_json
from molebm.training.config import TrainingConfig
from molebm.training.distributed import World, any_process, device_of_process, join, wait_for_all
from molebm.training.evaluation import evaluate
from molebm.training.pool import Shards
from molebm.training.run import TrainingRun, Update
from molebm.training.shards import Reference, read_manifest, read_references, read_texts, verified_shards

LATEST, LOG, MODEL, SETTINGS = "latest.json", "log.jsonl", "model", "settings.json"
MAX_VALIDATION = 64  # molecules


class Report(NamedTuple):
    """Averages since the last report and, now and then, how well the averaged model does."""

    update: int
    stage: str
    loss: float
    gradient_norm: float
    learning_rate: float
    step_scale: float
    lost: dict[str, int]  # chains lost and gradients left out, the worst molecules
    pearson: float | None = None  # medians over unseen scaffolds
    slope: float | None = None
    rmse: float | None = None  # kcal/mol


def begin_or_resume(config: TrainingConfig, references: Path, folder: Path, device: torch.device) -> TrainingRun:
    """Set up a run in a folder, or take up the one that is there; in each process that `torchrun` started.

    Raises
    ------
    RequestError
        If the folder holds a run with other settings or another number of processes, or there is
        nothing to train on.
    """
    device = device_of_process(device)
    world = join(device)
    paths = list(islice(verified_shards(references), config.max_shards))
    if len(paths) < world.size:
        raise RequestError(f"'{references}' has {len(paths)} shards for {world.size} processes; prepare more")
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / SETTINGS
    wanted = {**config.model_dump(mode="json"), "processes": world.size}
    if settings.exists() and json.loads(settings.read_text()) != json.loads(json.dumps(wanted)):
        raise RequestError(f"'{folder}' holds a run with other settings (see {SETTINGS}); use another folder")
    if world.leads:
        write_json(settings, wanted)
    run = TrainingRun(config, Shards(paths[world.rank :: world.size], "train", config.seed), device, world)
    if not run.pool.members:
        raise RequestError(f"'{references}' holds no training molecules; prepare more")
    if (folder / LATEST).exists():
        run.restore(_checkpoint(folder, json.loads((folder / LATEST).read_text())["update"], world))
    return run


def train_until_done(
    run: TrainingRun,
    references: Path,
    folder: Path,
    *,
    checkpoint_every: int,
    stop_after: int | None = None,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> Iterator[Report]:
    """Train to the last update, writing checkpoints, a log and the model to `folder`.

    Reports come from every process; files from the first, but for the checkpoint that each needs.
    After `stop_after` updates of this call, or the update in which any process is `asked_to_stop`, it stops early,
    with a checkpoint.
    """
    config, leads = run.config, run.world.leads
    provenance = _provenance(run, references) if leads else {}
    validation = list(islice(read_references(references, "validation"), MAX_VALIDATION)) if leads else []
    since: list[Update] = []
    last = config.total_updates if stop_after is None else min(config.total_updates, run.n_updates + stop_after)
    while run.n_updates < last:
        since.append(run.advance())
        done = run.n_updates == last
        if run.n_updates % config.report_every == 0 or done:
            check = validation if run.n_updates % config.validate_every == 0 or done else []
            report = _report(run, since, check)
            since = []
            if leads:
                with (folder / LOG).open("a") as log:
                    log.write(json.dumps(report._asdict()) + "\n")
            yield report
        stopped = any_process(asked_to_stop(), run.world, run.device)
        if run.n_updates % checkpoint_every == 0 or done or stopped:
            _save(run, provenance, folder)
        if stopped:
            return


def _save(run: TrainingRun, provenance: dict[str, Any], folder: Path) -> None:
    """Write the checkpoint of every process, and only then say that it is the latest."""
    run.save(_checkpoint(folder, run.n_updates, run.world))
    wait_for_all(run.world)
    if run.world.leads:
        write_json(folder / LATEST, {"update": run.n_updates})
        model = run.model({**provenance, "updates": run.n_updates})
        save_model(folder / MODEL, model.network, model.metadata, model.residual)
    wait_for_all(run.world)
    for path in folder.glob(f"checkpoint-*.{run.world.rank}.safetensors"):
        if path != _checkpoint(folder, run.n_updates, run.world):
            path.unlink()


def _checkpoint(folder: Path, update: int, world: World) -> Path:
    return folder / f"checkpoint-{update:08d}.{world.rank}.safetensors"


def _report(run: TrainingRun, since: list[Update], validation: list[Reference]) -> Report:
    last = since[-1]
    lost = sum((update.lost for update in since), Counter())
    report = Report(
        update=run.n_updates,
        stage=last.stage,
        loss=_mean([update.loss for update in since]),
        gradient_norm=_mean([update.gradient_norm for update in since]),
        learning_rate=last.learning_rate,
        step_scale=last.step_scale,
        lost=dict(lost.most_common(3)),
    )
    if not validation:
        return report
    temperatures = sorted(run.config.temperatures)
    found = evaluate(run.model(), validation, temperatures[len(temperatures) // 2])
    return report._replace(
        pearson=found.pearson.median().item(), slope=found.slope.median().item(), rmse=found.rmse.median().item()
    )


def _mean(values: list[float]) -> float:
    """Average what is finite; a molecule whose energy was no number has spoilt the loss and nothing else."""
    finite = [value for value in values if math.isfinite(value)]
    return sum(finite) / len(finite) if finite else 0.0


def _provenance(run: TrainingRun, references: Path) -> dict[str, Any]:
    """Say how the model is trained and on what."""
    manifest = read_manifest(references)
    files = [references / entry["file"] for entry in manifest["shards"]][: run.config.max_shards]
    return {
        "objective": ", then ".join(dict.fromkeys(stage.name for stage in run.config.stages)),
        "config": run.config.model_dump(mode="json"),
        "references": manifest["settings"],
        "processes": run.world.size,
        "versions": {"molebm": molebm.__version__, "torch": torch.__version__},
        "n_training_molecules": sum(read_texts(path)["splits"].count("train") for path in files),
    }
