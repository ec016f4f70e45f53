"""Conformers of molecules as data to learn from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from molebm.errors import RequestError
from molebm.topology import Topology, concatenate
from molebm.training.shards import Reference, at_temperature, read_shard, verified_shards


class Conformers(NamedTuple):
    """C conformers of each of G molecules."""

    topology: Topology
    positions: Tensor  # (3, N, C) Å
    temperatures: Tensor  # (C,) K, that each column was sampled at


class ConformerData:
    """Reference ensembles in memory, drawn molecule by molecule."""

    def __init__(self, references: list[Reference], columns: int) -> None:
        self.references, self.columns = references, columns
        self.facts: dict[str, Any] = {"conformers": "reference ensembles"}

    def of(self, split: str) -> list[Reference]:
        return [reference for reference in self.references if reference.split == split]

    def count(self, split: str) -> int:
        return len(self.of(split))

    def draw(self, size: int, generator: torch.Generator, device: torch.device) -> Conformers:
        """Draw training molecules with replacement, and `columns` conformers of each."""
        train = self.of("train")
        chosen = [train[i] for i in torch.randint(len(train), (size,), generator=generator).tolist()]
        columns = torch.randint(chosen[0].positions.shape[2], (self.columns,), generator=generator)
        return _joined(chosen, columns, device)

    def batches(self, split: str, size: int, device: torch.device) -> Iterator[Conformers]:
        """Give each molecule of a split once, with its first `columns` conformers."""
        held = self.of(split)
        for first in range(0, len(held), size):
            chosen = held[first : first + size]
            yield _joined(chosen, torch.arange(min(self.columns, chosen[0].positions.shape[2])), device)


def _joined(chosen: list[Reference], columns: Tensor, device: torch.device) -> Conformers:
    positions = torch.cat([reference.positions[:, :, columns] for reference in chosen], dim=1)
    topology = concatenate([reference.topology for reference in chosen])
    return Conformers(topology.to(device), positions.to(device), chosen[0].temperatures[columns].to(device))


def read_conformers(
    folder: Path, columns: int, max_shards: int | None = None, *, temperature: float | None = None
) -> ConformerData:
    """Read a folder that `molebm prepare` wrote, the samples of all temperatures or of one in K.

    Raises
    ------
    CheckpointError
        If it is not finished or damaged.
    RequestError
        If it holds no conformers, or none at that temperature.
    """
    try:
        paths = islice(verified_shards(folder), max_shards)
        references = [reference for path in paths for reference in read_shard(path)]
    except KeyError as error:
        raise RequestError(f"'{folder}' holds no conformers; make them with `molebm prepare`") from error
    if temperature is not None:
        references = [_at(reference, temperature, folder) for reference in references]
    return ConformerData(references, columns)


def _at(reference: Reference, temperature: float, folder: Path) -> Reference:
    columns = at_temperature(reference, temperature)
    if not len(columns):
        known = ", ".join(f"{kelvin:g}" for kelvin in reference.temperatures.unique().tolist())
        raise RequestError(f"'{folder}' has no samples at {temperature:g} K; set temperature to one of {known}")
    return replace(
        reference,
        positions=reference.positions[:, :, columns],
        temperatures=reference.temperatures[columns],
        energies=reference.energies[columns],
        forces=reference.forces[:, :, columns],
    )
