"""The folder that shards are prepared in: whose it is, and what is in it in the end."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import rdkit
import torch

from molebm import __version__
from molebm.errors import RequestError
from molebm.models.checkpoint import write_json
from molebm.training.shards import MANIFEST, checksum

if TYPE_CHECKING:
    from _typeshed import DataclassInstance


class Failed(NamedTuple):
    """A molecule that is in no shard, and why."""

    name: str
    source: str
    reason: str


def claim(folder: Path, settings: DataclassInstance) -> None:
    """Note the settings in the folder, or see that it was begun with the same.

    Raises
    ------
    RequestError
        If it was begun with others.
    """
    folder.mkdir(parents=True, exist_ok=True)
    note, wanted = folder / "settings.json", json.loads(json.dumps(dataclasses.asdict(settings)))
    if note.exists() and json.loads(note.read_text()) != wanted:
        raise RequestError(f"'{folder}' was begun with other settings (see {note.name}); use another folder")
    write_json(note, wanted)


def write_manifest(
    folder: Path,
    settings: DataclassInstance,
    shards: Iterable[Path],
    failed: Iterable[Failed],
    versions: Mapping[str, str] | None = None,
    told: Mapping[str, Any] | None = None,
) -> None:
    """Say what the finished folder holds; `versions` are those of further packages that made it, `told` is added."""
    own = {"molebm": __version__, "rdkit": rdkit.__version__, "torch": torch.__version__}
    write_json(
        folder / MANIFEST,
        {
            "settings": dataclasses.asdict(settings),
            "versions": {**own, **(versions or {})},
            "shards": [{"file": path.name, "sha256": checksum(path)} for path in shards],
            "failed": [entry._asdict() for entry in failed],
            **(told or {}),
        },
    )
