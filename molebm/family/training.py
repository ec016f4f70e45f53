"""The training loop of the family as a generator: it trains, checks, saves and reports; the caller watches."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch

import molebm
from molebm.errors import RequestError
from molebm.family.checkpoint import save_trained
from molebm.family.config import FamilyConfig
from molebm.family.conformers import read_conformers
from molebm.family.features import read_features
from molebm.family.interface import Data
from molebm.family.registry import model_class
from molebm.family.run import FamilyRun, Update
from molebm.models.checkpoint import write_json
from molebm.training.shards import read_manifest

LATEST, LOG, MODEL, SETTINGS = "latest.json", "log.jsonl", "model", "settings.json"


class FamilyReport(NamedTuple):
    """Averages since the last report and, now and then, how the averaged model does on held-out molecules."""

    update: int
    loss: float
    gradient_norm: float
    figures: dict[str, float]
    validation: dict[str, float] | None = None


def begin_or_resume(config: FamilyConfig, data: Path, folder: Path, device: torch.device) -> FamilyRun:
    """Set up a run in a folder, or take up the one that is there.

    Raises
    ------
    RequestError
        If the folder holds a run with other settings, or there is nothing to train on.
    """
    kind = model_class(config.model)
    read = read_for(config, data)
    if not read.count("train"):
        raise RequestError(f"'{data}' holds no training molecules; give more")
    folder.mkdir(parents=True, exist_ok=True)
    settings, wanted = folder / SETTINGS, config.model_dump(mode="json")
    if settings.exists() and json.loads(settings.read_text()) != json.loads(json.dumps(wanted)):
        raise RequestError(f"'{folder}' holds a run with other settings (see {SETTINGS}); use another folder")
    write_json(settings, wanted)
    run = FamilyRun(kind, config, read, device)
    if (folder / LATEST).exists():
        run.restore(_checkpoint(folder, json.loads((folder / LATEST).read_text())["update"]))
    return run


def read_for(config: FamilyConfig, data: Path) -> Data:
    """Read what a kind learns from; of conformers as many columns as its settings say."""
    if model_class(config.model).reads == "conformers":
        temperature = getattr(config, "temperature", None)
        return read_conformers(data, getattr(config, "columns", 1), temperature=temperature)
    return read_features(data)


def train_until_done(
    run: FamilyRun, data: Path, folder: Path, *, checkpoint_every: int, stop_after: int | None = None
) -> Iterator[FamilyReport]:
    """Train to the last update, writing checkpoints, a log and the model to `folder`.

    After `stop_after` updates of this call it stops early, with a checkpoint.
    """
    config = run.config
    provenance = _provenance(run, data)
    since: list[Update] = []
    last = config.updates if stop_after is None else min(config.updates, run.n_updates + stop_after)
    while run.n_updates < last:
        since.append(run.advance())
        done = run.n_updates == last
        if run.n_updates % config.report_every == 0 or done:
            check = run.n_updates % config.validate_every == 0 or done
            report = _report(run.n_updates, since, run.validate() if check else None)
            since = []
            with (folder / LOG).open("a") as log:
                log.write(json.dumps(report._asdict()) + "\n")
            yield report
        if run.n_updates % checkpoint_every == 0 or done:
            _save(run, provenance, folder)


def _save(run: FamilyRun, provenance: dict[str, Any], folder: Path) -> None:
    """Write the checkpoint, and only then say that it is the latest."""
    latest = _checkpoint(folder, run.n_updates)
    run.save(latest)
    write_json(folder / LATEST, {"update": run.n_updates})
    save_trained(folder / MODEL, run.trained({**provenance, "updates": run.n_updates}))
    for path in folder.glob("checkpoint-*.safetensors"):
        if path != latest:
            path.unlink()


def _checkpoint(folder: Path, update: int) -> Path:
    return folder / f"checkpoint-{update:08d}.safetensors"


def _report(update: int, since: Sequence[Update], validation: dict[str, float] | None) -> FamilyReport:
    figures = {name: _mean([one.figures[name] for one in since if name in one.figures]) for name in since[-1].figures}
    loss, norm = _mean([one.loss for one in since]), _mean([one.gradient_norm for one in since])
    return FamilyReport(update, loss, norm, figures, validation)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def _provenance(run: FamilyRun, data: Path) -> dict[str, Any]:
    """Say how the model is trained and on what."""
    return {
        "config": run.config.model_dump(mode="json"),
        "data": read_manifest(data)["settings"],
        "versions": {"molebm": molebm.__version__, "torch": torch.__version__},
        "n_training_molecules": run.data.count("train"),
    }
