"""One training run: a network, its running average, the optimiser and the molecules in memory."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from molebm.errors import DivergenceError
from molebm.forcefield.energy import EnergyFn
from molebm.forcefield.mechanics import Backend, MechanicalEnergy
from molebm.forcefield.parameters import Parameters
from molebm.models.checkpoint import LearnedModel, load_tensors, save_tensors
from molebm.models.couplings import ResidualEnergy
from molebm.models.network import ParameterNetwork
from molebm.models.residual import ResidualNetwork
from molebm.topology import Topology
from molebm.training import config as settings_of
from molebm.training.config import TrainingConfig
from molebm.training.distributed import ALONE, World, average_gradients
from molebm.training.isolation import isolate, leaves_of
from molebm.training.negatives import draw_negatives
from molebm.training.objectives import contrast, loss_of
from molebm.training.pool import Batch, MoleculePool, Shards

PATIENCE = 50  # updates over which chains may be lost before the run counts as diverged
TOO_MANY = 0.5  # of the chains


class Update(NamedTuple):
    """What one update did."""

    stage: str
    loss: float
    gradient_norm: float
    learning_rate: float
    step_scale: float  # of the chains' step that was asked for
    lost: Counter[str]  # chains that exploded and restarted from data, and gradients left out, by molecule


class EnergyNetwork(nn.Module):
    """The network of the kernel's parameters and, where one is asked for, that of the residual."""

    def __init__(self, config: TrainingConfig) -> None:
        super().__init__()
        self.mechanical = ParameterNetwork(**config.network.model_dump())
        self.residual = None if config.residual is None else ResidualNetwork(**config.residual.model_dump())


class TrainingRun:
    """Learnt weights and everything else that the next update needs.

    Each process of several has shards, chains and noise of its own, and the same weights.
    """

    def __init__(self, config: TrainingConfig, shards: Shards, device: torch.device, world: World = ALONE) -> None:
        self.config, self.device, self.world = config, device, world
        seed = config.seed * world.size + world.rank
        self.generator = torch.Generator().manual_seed(seed)
        self.noise = torch.Generator(device).manual_seed(seed + 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)  # noqa: TID251, layers draw their weights from the forked global state
            self.network = EnergyNetwork(config).to(device)
        self.average = EnergyNetwork(config).to(device).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=config.optimiser.weight_decay)
        per_temperature = config.columns // len(config.temperatures)
        self.pool = MoleculePool(
            shards,
            torch.tensor(config.temperatures).repeat_interleave(per_temperature),
            size=config.pool.shards,
            visits=config.pool.visits,
            generator=self.generator,
        )
        self.n_updates = 0
        self.step_scale = 1.0
        self.losing = 0.0  # running mean of the fraction of chains lost

    def advance(self) -> Update:
        """Make one update: draw molecules, weigh the objectives, step, average.

        Raises
        ------
        DivergenceError
            If most chains have exploded for a while; names the molecule that loses most.
        """
        config = self.config
        stage = config.stages[config.stage_at(self.n_updates)]
        batch = self.pool.draw(config.molecules_per_update)
        here = batch.to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._is_mixed()):
            parameters = self.network.mechanical(here.topology)
        parameters = parameters.map(Tensor.float)
        leaves = leaves_of(parameters)
        self.optimiser.zero_grad(set_to_none=True)
        loss, lost = self._loss(stage, batch, here, leaves)
        loss.backward()
        found = isolate(here.topology, leaves, outlier=config.optimiser.outlier)
        torch.autograd.backward([getattr(parameters, name) for name in found.gradients], list(found.gradients.values()))
        lost.update(batch.members[index].reference.name for index in torch.nonzero(~found.sound).flatten().tolist())
        average_gradients(self.network.parameters(), self.world)
        norm, rate = self._step()
        self.n_updates += 1
        self._watch(batch, lost)
        return Update(stage.name, loss.item(), norm, rate, self.step_scale, lost)

    def model(self, metadata: dict[str, Any] | None = None) -> LearnedModel:
        """Return the averaged network as a model."""
        built = {"network": self.config.network.model_dump()}
        if self.config.residual is not None:
            built["residual"] = self.config.residual.model_dump()
        return LearnedModel(self.average.mechanical, {**built, **(metadata or {})}, self.average.residual)

    def save(self, path: Path) -> None:
        """Write everything that the next update of this process needs, complete or not at all."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, slot in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in slot.items()}
        tensors |= {f"pool.{name}": value for name, value in self.pool.state().items()}
        tensors |= {"generator": self.generator.get_state(), "noise": self.noise.get_state()}
        scalars = torch.tensor([self.step_scale, self.losing], dtype=torch.float64)
        save_tensors(path, tensors | {"n_updates": torch.tensor(self.n_updates), "scalars": scalars})

    def restore(self, path: Path) -> None:
        """Go on from where `save` was called."""
        tensors = load_tensors(path)
        self.network.load_state_dict(_under("network.", tensors))
        self.average.load_state_dict(_under("average.", tensors))
        slots: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("optimiser.", tensors).items():
            index, key = name.split(".", 1)
            slots.setdefault(int(index), {})[key] = value
        self.optimiser.load_state_dict({**self.optimiser.state_dict(), "state": slots})
        self.pool.restore(_under("pool.", tensors))
        self.generator.set_state(tensors["generator"])
        self.noise.set_state(tensors["noise"])
        self.n_updates = int(tensors["n_updates"])
        self.step_scale, self.losing = tensors["scalars"].tolist()

    def _loss(
        self, stage: settings_of.Stage, batch: Batch, here: Batch, leaves: Parameters
    ) -> tuple[Tensor, Counter[str]]:
        energy_fn = self._bind(here.topology, MechanicalEnergy(here.topology, leaves))
        total = torch.zeros((), device=self.device)
        lost: Counter[str] = Counter()
        for settings in stage.objectives:
            if isinstance(settings, settings_of.Chains):
                detached = MechanicalEnergy(here.topology, leaves.map(Tensor.detach), self._backend())
                with torch.no_grad():
                    frozen = self._bind(here.topology, detached)
                negatives = draw_negatives(
                    settings, frozen, here, step_scale=self.step_scale, where=self.generator, noise=self.noise
                )
                self.step_scale = negatives.step_scale
                batch.keep(negatives.positions)
                for member, count in zip(batch.members, (~negatives.sound).sum(1).tolist(), strict=True):
                    lost[member.reference.name] += count
                loss = contrast(settings, energy_fn, here, negatives)
            else:
                loss = loss_of(settings, energy_fn, here, self.noise)
            total = total + settings.weight * loss
        return total, +lost

    def _bind(self, topology: Topology, mechanical: MechanicalEnergy) -> EnergyFn:
        residual = self.network.residual
        return mechanical if residual is None else ResidualEnergy(topology, mechanical, residual(topology))

    def _step(self) -> tuple[float, float]:
        """Clip and step unless the gradient is no number, then average the weights; gradient norm and rate."""
        settings = self.config.optimiser
        rate = self._learning_rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), settings.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        keep = min(settings.averaging, (1 + self.n_updates) / (10 + self.n_updates))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)
        return norm.item(), rate

    def _watch(self, batch: Batch, lost: Counter[str]) -> None:
        fraction = sum(lost.values()) / (len(batch.members) * self.config.columns)
        self.losing += (min(1.0, fraction) - self.losing) / PATIENCE
        if self.losing > TOO_MANY:
            name, count = lost.most_common(1)[0]
            raise DivergenceError(
                f"most chains have exploded for {PATIENCE} updates, most of all those of '{name}' ({count} of "
                f"{self.config.columns}); go back to the last checkpoint with a lower learning rate or a shorter "
                "time_step, or leave that molecule out"
            )

    def _learning_rate(self) -> float:
        settings = self.config.optimiser
        share = self.n_updates / max(1, self.config.total_updates)
        cosine = (1 + math.cos(math.pi * min(1.0, share))) / 2
        rate = settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * cosine
        return rate * min(1.0, (self.n_updates + 1) / (settings.warm_up + 1))

    def _backend(self) -> Backend:
        return "compiled" if self.device.type == "cuda" else "auto"

    def _is_mixed(self) -> bool:
        return self.device.type == "cuda" and self.config.precision == "bfloat16"


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
