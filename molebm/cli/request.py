"""All that decides an output, in words that two runs can be compared by."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

import torch
from rdkit import rdBase

from molebm import __version__
from molebm.cli.journal import Request
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.sharding import Shard
from molebm.plausibility.settings import ScoringSettings

_END: Final = 1 << 20  # bytes at the beginning and at the end of an input that tell it from another


def request_of(source: str | Path, settings: GenerationSettings, shard: Shard) -> Request:
    """Describe a run of `generate` by its settings, its input, its model, and the versions it ran with."""
    models = {
        name: None if path is None else ", ".join(map(_fingerprint, _files_of(Path(path))))
        for name, path in (("model", settings.model), ("start_model", settings.start_model))
    }
    return {
        "input": _fingerprint(source) if isinstance(source, Path) else source,
        "shard": str(shard),
        **asdict(settings),
        **models,
        **_versions(),
    }


def scoring_request(
    files: Mapping[str, str | Path | None], settings: ScoringSettings, model: Path | None, **rest: str | float | None
) -> Request:
    """Describe a run of `score` by its settings, the files that it reads, its model, and the versions it ran with."""
    decisive = {name: value for name, value in asdict(settings).items() if name != "threads"}
    read = {name: _fingerprint(Path(file)) if file and Path(file).exists() else file for name, file in files.items()}
    return {
        **{name: None if file is None else str(file) for name, file in read.items()},
        **decisive,
        "model": None if model is None else ", ".join(map(_fingerprint, _files_of(model))),
        **rest,
        **_versions(),
    }


def _versions() -> dict[str, str]:
    return {"molebm": __version__, "rdkit": rdBase.rdkitVersion, "torch": torch.__version__}


def _files_of(model: Path) -> list[Path]:
    return [model.with_suffix(suffix) for suffix in (".json", ".safetensors")]


def _fingerprint(path: Path) -> str:
    """Name a file with its size and a digest of its two ends, so that a large one is told at once."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            size = path.stat().st_size
            digest.update(file.read(_END))
            file.seek(max(_END, size - _END))
            digest.update(file.read(_END))
    except OSError as error:  # told with more care where it is needed
        return f"{path.name} ({error.strerror})"
    return f"{path.name} ({size} bytes, {digest.hexdigest()[:16]})"
