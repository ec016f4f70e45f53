"""Models of the family on disk: weights as safetensors, everything else as JSON beside them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import molebm.models.checkpoint as of_conformers
from molebm.errors import CheckpointError
from molebm.family.interface import FamilyModel
from molebm.family.registry import model_class
from molebm.models.checkpoint import LearnedModel, load_tensors, save_tensors, write_json

FORMAT: Final = 1
KIND: Final = "kind"
"""Key of the JSON that names the kind; the learned energy of conformers has none."""


@dataclass(frozen=True, slots=True)
class TrainedEnergy:
    """A trained model of the family and what is known about it.

    The metadata hold under "calibration" sorted energies of held-out molecules, under "features" how its input is
    made, under "classes" what a classifier tells apart, and where it comes from.
    """

    model: FamilyModel
    metadata: Mapping[str, Any]


def save_trained(path: Path, trained: TrainedEnergy) -> None:
    """Write `path`.safetensors and `path`.json, each complete or not at all."""
    model = trained.model
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path.with_suffix(".safetensors"), model.state_dict())
    told = {"format": FORMAT, KIND: model.kind, "settings": model.settings()}
    write_json(path.with_suffix(".json"), {**told, **trained.metadata})


def load_trained(path: str | Path) -> TrainedEnergy:
    """Load a model of the family by the name of either of its files.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, of another kind or written by an incompatible version.
    """
    stem = Path(path).with_suffix("")
    metadata = _metadata(stem)
    if KIND not in metadata:
        raise CheckpointError(f"'{stem}' is an energy of conformers; `molebm score` and `molebm generate` take it")
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"'{stem}' has format {metadata.get('format')}, this version reads {FORMAT}; retrain it")
    try:
        model = model_class(metadata[KIND])(**metadata["settings"])
        model.load_state_dict(load_tensors(stem.with_suffix(".safetensors")))
    except OSError as error:
        raise CheckpointError(f"no weights of '{stem}': {error}; restore the .safetensors file") from error
    except (RuntimeError, TypeError) as error:
        raise CheckpointError(f"the weights of '{stem}' do not fit its settings: {error}") from error
    return TrainedEnergy(model.eval().requires_grad_(False), metadata)


def load_model(path: str | Path | None = None) -> LearnedModel | TrainedEnergy:
    """Load a model of any kind by the name of either of its files, or the shipped energy of conformers.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, or was written by an incompatible version.
    """
    if path is not None and KIND in _metadata(Path(path).with_suffix("")):
        return load_trained(path)
    return of_conformers.load_model(path)


def _metadata(stem: Path) -> dict[str, Any]:
    try:
        return json.loads(stem.with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"no model at '{stem}': {error}; give the name of its .safetensors file") from error
