"""The molecules in memory: a window that moves over the shards, and each molecule's own chains."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from molebm.topology import Topology, concatenate
from molebm.training.shards import Reference, at_temperature, read_shard


@dataclass(slots=True)
class Member:
    """A molecule in the pool and where its chains stopped, each column at its own temperature for good."""

    reference: Reference
    chains: Tensor  # (3, N, C) Å


class Batch(NamedTuple):
    """The molecules of one update, their data in the columns of their chains."""

    members: list[Member]
    topology: Topology
    temperatures: Tensor  # (C,) K
    positions: Tensor  # (3, N, C) Å, samples of the reference
    forces: Tensor  # (3, N, C) kcal/mol/Å, of the reference
    chains: Tensor  # (3, N, C) Å, where the model's own chains stopped

    def to(self, device: torch.device) -> Batch:
        """Return the same batch with its tensors on `device`."""
        moved = (self.temperatures, self.positions, self.forces, self.chains)
        return Batch(self.members, self.topology.to(device), *(tensor.to(device) for tensor in moved))

    def keep(self, chains: Tensor) -> None:
        """Store where the chains (3, N, C) stopped."""
        widths = self.topology.atoms_per_molecule().tolist()
        for member, stopped in zip(self.members, chains.cpu().split(widths, dim=1), strict=True):
            member.chains = stopped.clone()


class Shards(NamedTuple):
    """The shards of one process, to be read in an order of its own."""

    paths: list[Path]
    split: str
    seed: int

    def order(self, turn: int) -> Path:
        """Return the shard whose turn it is, counted from 0; each pass over the data has an order of its own."""
        epoch, place = divmod(turn, len(self.paths))
        shuffled = torch.randperm(len(self.paths), generator=Generator().manual_seed(self.seed + 7919 * epoch))
        return self.paths[int(shuffled[place])]


class MoleculePool:
    """A few shards at a time, so that memory does not grow with the data.

    Molecules are drawn at random from the shards that are in memory. After `visits` draws of each, on
    average, the oldest shard makes room for the next one: long enough for persistent chains to move,
    and every molecule has its turn. Chains live as long as their molecule stays.

    References
    ----------
    Tieleman, ICML 2008; Du and Mordatch, NeurIPS 2019, arXiv:1903.08689.
    """

    def __init__(self, shards: Shards, temperatures: Tensor, *, size: int, visits: float, generator: Generator) -> None:
        self.shards, self.temperatures, self.visits, self.generator = shards, temperatures, visits, generator
        self.size = min(size, len(shards.paths))
        self.window: deque[list[Member]] = deque()
        self.turn = 0  # of the next shard
        self.drawn = 0  # molecules since the last change
        while len(self.window) < self.size:
            self._take_next()

    @property
    def members(self) -> list[Member]:
        return [member for shard in self.window for member in shard]

    def draw(self, count: int) -> Batch:
        """Draw molecules without repetition, and data for each."""
        self._move_on()
        members = self.members
        chosen = torch.randperm(len(members), generator=self.generator)[:count].tolist()
        self.drawn += len(chosen)
        return self._batch([members[index] for index in chosen])

    def state(self) -> dict[str, Tensor]:
        """Return what brings the pool back, with `restore`."""
        chains = {f"chain.{index}": member.chains for index, member in enumerate(self.members)}
        return chains | {"turn": torch.tensor(self.turn), "drawn": torch.tensor(self.drawn)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on from where `state` was called."""
        self.turn, self.drawn = int(state["turn"]) - self.size, int(state["drawn"])
        self.window.clear()
        while len(self.window) < self.size:
            self._take_next()
        for index, member in enumerate(self.members):
            member.chains = state[f"chain.{index}"]

    def _move_on(self) -> None:
        if self.size < len(self.shards.paths) and self.drawn * self.size >= self.visits * len(self.members):
            self.window.popleft()
            self._take_next()
            self.drawn = 0

    def _take_next(self) -> None:
        found = [r for r in read_shard(self.shards.order(self.turn)) if r.split == self.shards.split]
        self.turn += 1
        self.window.append([Member(reference, self._first_chains(reference)) for reference in found])

    def _first_chains(self, reference: Reference) -> Tensor:
        return reference.positions[:, :, draw_columns(reference, self.temperatures, self.generator)]

    def _batch(self, members: list[Member]) -> Batch:
        references = [member.reference for member in members]
        columns = [draw_columns(reference, self.temperatures, self.generator) for reference in references]
        pairs = list(zip(references, columns, strict=True))
        return Batch(
            members=members,
            topology=concatenate([reference.topology for reference in references]),
            temperatures=self.temperatures,
            positions=torch.cat([reference.positions[:, :, picked] for reference, picked in pairs], dim=1),
            forces=torch.cat([reference.forces[:, :, picked] for reference, picked in pairs], dim=1),
            chains=torch.cat([member.chains for member in members], dim=1),
        )


def draw_columns(reference: Reference, temperatures: Tensor, generator: Generator) -> Tensor:
    """Draw one sample of a molecule for each temperature in K, again only when all have been drawn; (C,) int64."""
    picked = torch.empty(len(temperatures), dtype=torch.int64)
    for temperature in temperatures.unique().tolist():
        columns = torch.nonzero(temperatures == temperature).flatten()
        available = at_temperature(reference, temperature)
        rounds = -(-len(columns) // len(available))
        shuffled = torch.cat([torch.randperm(len(available), generator=generator) for _ in range(rounds)])
        picked[columns] = available[shuffled[: len(columns)]]
    return picked


def draw_starts(batch: Batch, generator: Generator) -> Tensor:
    """Draw an embedded start for each chain, or its data where a molecule has none; (3, N, C) Å."""
    drawn = []
    data = batch.positions.split(batch.topology.atoms_per_molecule().tolist(), dim=1)
    for member, samples in zip(batch.members, data, strict=True):
        starts = member.reference.starts
        picked = torch.randint(max(1, starts.shape[2]), (samples.shape[2],), generator=generator)
        drawn.append(starts[:, :, picked].to(samples) if starts.shape[2] else samples)
    return torch.cat(drawn, dim=1)
