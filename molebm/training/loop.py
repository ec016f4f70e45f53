"""The training loop as a generator: it trains, checks, saves and reports; the caller watches."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from molebm.errors import RequestError
from molebm.models.checkpoint import save_model, write_json
from molebm.training.config import TrainingConfig
from molebm.training.evaluation import evaluate
from molebm.training.run import TrainingRun, Update
from molebm.training.shards import Reference, read_manifest, read_references

CHECKPOINT, LOG, MODEL, SETTINGS = "checkpoint.safetensors", "log.jsonl", "model", "settings.json"
VALIDATION_TEMPERATURE = 500.0  # K
MAX_VALIDATION = 64  # molecules


class Report(NamedTuple):
    """Averages since the last report and, now and then, how well the averaged model does."""

    update: int
    stage: str
    loss: float
    gradient_norm: float
    learning_rate: float
    lost_chains: int
    pearson: float | None = None  # medians over unseen scaffolds
    slope: float | None = None
    rmse: float | None = None  # kcal/mol


def begin_or_resume(config: TrainingConfig, references: Path, folder: Path, device: torch.device) -> TrainingRun:
    """Set up a run in a folder, or take up the one that is there.

    Raises
    ------
    RequestError
        If the folder holds a run with other settings, or there is nothing to train on.
    """
    training = list(read_references(references, "train"))[: config.max_molecules]
    if not training:
        raise RequestError(f"'{references}' holds no training molecules; prepare more")
    folder.mkdir(parents=True, exist_ok=True)
    settings = folder / SETTINGS
    wanted = config.model_dump(mode="json")
    if settings.exists() and json.loads(settings.read_text()) != wanted:
        raise RequestError(f"'{folder}' holds a run with other settings (see {SETTINGS}); use another folder")
    write_json(settings, wanted)
    run = TrainingRun(config, training, device)
    if (folder / CHECKPOINT).exists():
        run.restore(folder / CHECKPOINT)
    return run


def train_until_done(run: TrainingRun, references: Path, folder: Path, *, checkpoint_every: int) -> Iterator[Report]:
    """Train to the last update, writing checkpoints, a log and the model to `folder`."""
    config = run.config
    validation = list(read_references(references, "validation"))[:MAX_VALIDATION]
    since: list[Update] = []
    while run.n_updates < config.total_updates:
        since.append(run.advance())
        done = run.n_updates == config.total_updates
        if run.n_updates % config.report_every == 0 or done:
            check = validation if run.n_updates % config.validate_every == 0 or done else []
            report = _report(run, since, check)
            since = []
            with (folder / LOG).open("a") as log:
                log.write(json.dumps(report._asdict()) + "\n")
            yield report
        if run.n_updates % checkpoint_every == 0 or done:
            run.save(folder / CHECKPOINT)
            _save_model(run, references, folder)


def _report(run: TrainingRun, since: list[Update], validation: list[Reference]) -> Report:
    last, count = since[-1], len(since)
    report = Report(
        update=run.n_updates,
        stage=last.stage,
        loss=sum(update.loss for update in since) / count,
        gradient_norm=sum(update.gradient_norm for update in since) / count,
        learning_rate=last.learning_rate,
        lost_chains=sum(update.lost_chains for update in since),
    )
    if not validation:
        return report
    found = evaluate(run.model(), validation, VALIDATION_TEMPERATURE)
    return report._replace(
        pearson=found.pearson.median().item(), slope=found.slope.median().item(), rmse=found.rmse.median().item()
    )


def _save_model(run: TrainingRun, references: Path, folder: Path) -> None:
    model = run.model(
        {
            "objective": "conditional NCE, then persistent contrastive divergence",
            "updates": run.n_updates,
            "config": run.config.model_dump(mode="json"),
            "references": read_manifest(references)["settings"],
            "n_training_molecules": len(run.references),
        }
    )
    save_model(folder / MODEL, model.network, model.metadata)
