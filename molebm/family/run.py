"""One training run of the family: a model, its running average, the optimiser and what its steps carry on."""

from __future__ import annotations

import copy
import math
from pathlib import Path
from typing import Any, NamedTuple, TypeVar, cast

import torch
from torch import nn

from molebm.errors import DivergenceError
from molebm.family.checkpoint import TrainedEnergy
from molebm.family.config import FamilyConfig
from molebm.family.interface import Data, FamilyModel, Moment, State
from molebm.models.checkpoint import load_tensors, save_tensors

Kind = TypeVar("Kind", bound=FamilyModel)

MOST_TRUSTED = 5000  # energies that p-values are held against
PATIENCE = 20  # updates in a row without a finite gradient, after which the run counts as diverged


class Update(NamedTuple):
    """What one update did."""

    loss: float
    gradient_norm: float
    figures: dict[str, float]


class FamilyRun:
    """Learnt weights and everything else that the next update needs."""

    def __init__(self, model_type: type[FamilyModel], config: FamilyConfig, data: Data, device: torch.device) -> None:
        self.config, self.data, self.device = config, data, device
        self.where = torch.Generator().manual_seed(config.seed)
        self.noise = torch.Generator(device).manual_seed(config.seed + 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)  # noqa: TID251, layers draw their weights from the forked global state
            self.model = model_type.build(config, data).to(device)
        self.average = copy.deepcopy(self.model).requires_grad_(False)
        self.optimiser = torch.optim.Adam(self.model.parameters(), weight_decay=config.weight_decay)
        self.n_updates = 0
        self.n_lost = 0  # updates in a row that were left out
        self.state: State = self.model.begin(config, data, self._moment())

    def advance(self) -> Update:
        """Make one update.

        Raises
        ------
        DivergenceError
            If gradients have been no numbers for a while.
        """
        config = self.config
        batch = self.data.draw(config.batch_size, self.where, self.device)
        step = self.model.step(batch, self.state, config, self._moment())
        self.optimiser.zero_grad(set_to_none=True)
        step.loss.backward()
        for group in self.optimiser.param_groups:
            group["lr"] = self._learning_rate()
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), config.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
            self.state = step.state
        self.n_lost = 0 if torch.isfinite(norm) else self.n_lost + 1
        if self.n_lost >= PATIENCE:
            raise DivergenceError(
                f"the gradient has been no number for {PATIENCE} updates; go back to the last checkpoint with a lower "
                "learning rate"
            )
        self._average()
        self.n_updates += 1
        return Update(step.loss.item(), norm.item(), dict(step.figures))

    def validate(self) -> dict[str, float]:
        """Average what the averaged model says of held-out molecules."""
        generator = torch.Generator(self.device).manual_seed(self.config.seed)
        total: dict[str, float] = {}
        self.average.eval()
        with torch.no_grad():
            for batch in self.data.batches("validation", self.config.batch_size, self.device):
                share = len(self.average.energy(self.average.input(batch)).flatten())
                for name, value in {**self.average.evaluate(batch, generator), "n": 1.0}.items():
                    total[name] = total.get(name, 0.0) + share * value
        count = total.pop("n", 1.0)
        return {name: value / count for name, value in total.items()}

    def trained(self, metadata: dict[str, Any] | None = None) -> TrainedEnergy:
        """Return the averaged model, with the energies of held-out molecules that p-values are held against."""
        model = copy.deepcopy(self.average).eval()
        told = {**self.data.facts, "calibration": sorted(held_out_energies(model, self.data, self.config, self.device))}
        return TrainedEnergy(model, {**told, **(metadata or {})})

    def save(self, path: Path) -> None:
        """Write everything that the next update needs, complete or not at all."""
        tensors = {f"model.{name}": value for name, value in self.model.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, slot in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in slot.items()}
        tensors |= {f"state.{name}": value for name, value in self.state.items()}
        tensors |= {"where": self.where.get_state(), "noise": self.noise.get_state()}
        counts = torch.tensor([self.n_updates, self.n_lost])
        save_tensors(path, {name: value.clone() for name, value in tensors.items()} | {"counts": counts})

    def restore(self, path: Path) -> None:
        """Go on from where `save` was called."""
        tensors = load_tensors(path)
        self.model.load_state_dict(_under("model.", tensors))
        self.average.load_state_dict(_under("average.", tensors))
        slots: dict[int, dict[str, torch.Tensor]] = {}
        for name, value in _under("optimiser.", tensors).items():
            index, key = name.split(".", 1)
            slots.setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})
        self.state = {name: value.to(self.device) for name, value in _under("state.", tensors).items()}
        self.where.set_state(tensors["where"])
        self.noise.set_state(tensors["noise"])
        self.n_updates, self.n_lost = (int(count) for count in tensors["counts"])

    def _moment(self) -> Moment:
        return Moment(self.n_updates / self.config.updates, self.noise)

    def _learning_rate(self) -> float:
        config = self.config
        cosine = (1 + math.cos(math.pi * min(1.0, self.n_updates / config.updates))) / 2
        return config.final_learning_rate + (config.learning_rate - config.final_learning_rate) * cosine

    def _average(self) -> None:
        keep = min(self.config.averaging, (1 + self.n_updates) / (10 + self.n_updates))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.model.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
            for kept, buffer in zip(self.average.buffers(), self.model.buffers(), strict=True):
                kept.copy_(buffer)


def fit(model_type: type[Kind], config: FamilyConfig, data: Data, device: torch.device | None = None) -> Kind:
    """Train a model in memory from beginning to end and return its average."""
    run = FamilyRun(model_type, config, data, device or torch.device("cpu"))
    while run.n_updates < config.updates:
        run.advance()
    return cast(Kind, run.average.eval())


def held_out_energies(model: FamilyModel, data: Data, config: FamilyConfig, device: torch.device) -> list[float]:
    """Energies of the trusted molecules of the validation split, at most `MOST_TRUSTED`."""
    found: list[float] = []
    with torch.no_grad():
        for batch in data.batches("validation", config.batch_size, device):
            energies, trusted = model.energy(model.input(batch)).flatten(), model.trusted(batch)
            found += (energies if trusted is None else energies[trusted]).tolist()
            if len(found) >= MOST_TRUSTED:
                break
    return [energy for energy in found[:MOST_TRUSTED] if math.isfinite(energy)]


def _under(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
