"""What a kind of energy-based model is: an energy, and how one batch improves it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from molebm.family.config import FamilyConfig

Batch = Any
"""What the data give: of features a dict of tensors with "x" (n, ...) and perhaps "y" (n,) classes; `Conformers`."""

State = dict[str, Tensor]
"""What the next step needs beside the weights, such as chains; saved with checkpoints and not with the model."""


class Step(NamedTuple):
    """What one batch says."""

    loss: Tensor  # () whose gradient by the weights is followed
    figures: Mapping[str, float]  # what a person wants to know
    state: State


class Moment(NamedTuple):
    """Where in a run a step is."""

    progress: float  # share of the updates done, from 0 to below 1
    generator: torch.Generator  # on the device of the weights; the one source of chance


class Data(Protocol):
    """Molecules to learn from and others that are held out."""

    @property
    def facts(self) -> dict[str, Any]: ...  # JSON; what later input must be made by, such as the features
    def draw(self, size: int, generator: torch.Generator, device: torch.device) -> Batch: ...  # of the training split
    def batches(self, split: str, size: int, device: torch.device) -> Iterator[Batch]: ...  # each molecule once
    def count(self, split: str) -> int: ...


class FamilyModel(nn.Module):
    """An energy of one kind: the lower, the more like what it has learned from.

    `cls(**model.settings())` builds it again; its weights and buffers are its state.
    """

    kind: ClassVar[str]
    Config: ClassVar[type[FamilyConfig]]
    reads: ClassVar[Literal["features", "conformers"]] = "features"

    @classmethod
    @abstractmethod
    def build(cls, config: Any, data: Data) -> FamilyModel:
        """Size a new model by its settings and its data; weights are drawn from torch's (forked) global state."""

    @abstractmethod
    def settings(self) -> dict[str, Any]:
        """Return the arguments that build it, as JSON."""

    @abstractmethod
    def energy(self, x: Any) -> Tensor:
        """Return one energy for each of n inputs, (n,): of features x is (n, ...), of conformers `Conformers`."""

    def begin(self, config: Any, data: Data, moment: Moment) -> State:
        """Return the state that the first step needs, on the device of the weights."""
        return {}

    @abstractmethod
    def step(self, batch: Batch, state: State, config: Any, moment: Moment) -> Step:
        """Look at one batch of training data."""

    def evaluate(self, batch: Batch, generator: torch.Generator) -> dict[str, float]:
        """Say how well held-out molecules are known; means over batches are logged."""
        return {"energy": float(self.energy(self.input(batch)).mean())}

    def input(self, batch: Batch) -> Any:
        """Return what `energy` reads of a batch."""
        return batch["x"] if self.reads == "features" else batch

    def trusted(self, batch: Batch) -> Tensor | None:
        """Mask (n,) of what p-values are to be held against; None is all."""
        return None

    def probabilities(self, x: Any) -> Tensor | None:
        """Return (n, classes) of a classifier, in the order of the classes of its data; None is no classifier."""
        return None
