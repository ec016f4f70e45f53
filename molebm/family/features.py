"""Features of molecules on disk and in memory: tensors with one row for each molecule."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch
from torch import Tensor

from molebm.errors import RequestError
from molebm.models.checkpoint import load_tensors, save_tensors
from molebm.training.shards import read_manifest, read_texts, verified_shards

FEATURES: Final = "features"
"""Key of a manifest that says how features were made; folders of reference ensembles have none."""


@dataclass(frozen=True)
class Features:
    """Tensors of n molecules, which are data to learn from."""

    tensors: Mapping[str, Tensor]  # "x" (n, ...) and perhaps "y" (n,) int64 classes; bytes where they hold bits
    splits: Sequence[str]  # (n,) "train", "validation" or "test"
    names: Sequence[str]  # (n,)
    facts: dict[str, Any]  # "features": how they were made; "classes": names, if there are any

    def rows(self, split: str) -> Tensor:
        """Indices of the molecules of a split."""
        return torch.tensor([row for row, found in enumerate(self.splits) if found == split], dtype=torch.int64)

    @cached_property
    def _train(self) -> Tensor:
        return self.rows("train")

    def count(self, split: str) -> int:
        return sum(found == split for found in self.splits)

    def of(self, rows: Tensor, device: torch.device) -> dict[str, Tensor]:
        """Take rows, bytes and half precision as float32."""
        return {name: as_read(tensor[rows]).to(device) for name, tensor in self.tensors.items()}

    def draw(self, size: int, generator: torch.Generator, device: torch.device) -> dict[str, Tensor]:
        """Draw training molecules with replacement."""
        rows = self._train
        return self.of(rows[torch.randint(len(rows), (size,), generator=generator)], device)

    def batches(self, split: str, size: int, device: torch.device) -> Iterator[dict[str, Tensor]]:
        """Give each molecule of a split once, in order."""
        for rows in self.rows(split).split(size):
            yield self.of(rows, device)


def as_read(tensor: Tensor) -> Tensor:
    """Give bytes and half precision as float32."""
    return tensor if tensor.dtype in (torch.int64, torch.float32, torch.float64) else tensor.float()


def write_features(path: Path, rows: Sequence[Mapping[str, Tensor]], texts: Mapping[str, Sequence[str]]) -> None:
    """Write one shard; `texts` are names, smiles and splits."""
    tensors = {name: torch.stack([row[name] for row in rows]) for name in rows[0]}
    save_tensors(path, tensors, {"texts": json.dumps(texts)})


def read_features(folder: Path, max_shards: int | None = None) -> Features:
    """Read a folder that `molebm featurise` wrote.

    Raises
    ------
    CheckpointError
        If it is not finished or damaged.
    RequestError
        If it holds no features.
    """
    manifest = read_manifest(folder)
    paths = list(islice(verified_shards(folder), max_shards))
    if FEATURES not in manifest or not paths:
        raise RequestError(f"'{folder}' holds no features; make them with `molebm featurise`")
    read = [load_tensors(path) for path in paths]
    texts = [read_texts(path) for path in paths]
    return Features(
        {name: torch.cat([tensors[name] for tensors in read]) for name in read[0]},
        [split for text in texts for split in text["splits"]],
        [name for text in texts for name in text["names"]],
        {key: manifest[key] for key in (FEATURES, "classes") if key in manifest},
    )
