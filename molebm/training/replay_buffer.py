"""The persistent chains of every molecule, at a ladder of temperatures."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from molebm.training.shards import Reference, at_temperature


class ReplayBuffer:
    """Where the model's own chains stopped, kept by molecule, and the data they restart from.

    Every molecule has the same columns, each at a temperature of its own for good, so a column of
    the data and a column of the model always belong together.

    References
    ----------
    Du and Mordatch, NeurIPS 2019, arXiv:1903.08689.
    """

    def __init__(self, references: Sequence[Reference], temperatures: Tensor, generator: Generator) -> None:
        self.temperatures = temperatures  # (C,) K
        self.chains = [draw_data(reference, temperatures, generator) for reference in references]  # (3, N, C) each

    def take(
        self, chosen: Sequence[int], references: Sequence[Reference], restart: float, generator: Generator
    ) -> Tensor:
        """Gather the chains of some molecules, a fraction of them restarted from data; (3, N, C)."""
        fresh = torch.cat([draw_data(references[index], self.temperatures, generator) for index in chosen], dim=1)
        kept = torch.cat([self.chains[index] for index in chosen], dim=1)
        widths = torch.tensor([self.chains[index].shape[1] for index in chosen])
        restarted = torch.rand(len(chosen), len(self.temperatures), generator=generator) < restart
        return torch.where(restarted.repeat_interleave(widths, dim=0), fresh, kept)

    def put(self, chosen: Sequence[int], positions: Tensor, sound: Tensor, references: Sequence[Reference]) -> None:
        """Store where the chains stopped; what is not sound (G, C) goes back to the first data."""
        widths = [self.chains[index].shape[1] for index in chosen]
        for index, chain, good in zip(chosen, positions.split(widths, dim=1), sound, strict=True):
            data = references[index].positions[:, :, :1]
            self.chains[index] = torch.where(good, chain, data)


def draw_data(reference: Reference, temperatures: Tensor, generator: Generator) -> Tensor:
    """Draw one reference sample for each temperature, (3, N, C) Å."""
    picked = torch.empty(len(temperatures), dtype=torch.int64)
    for temperature in temperatures.unique().tolist():
        columns = torch.nonzero(temperatures == temperature).flatten()
        available = at_temperature(reference, temperature)
        picked[columns] = available[torch.randint(len(available), columns.shape, generator=generator)]
    return reference.positions[:, :, picked]
