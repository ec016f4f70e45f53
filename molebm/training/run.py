"""One training run: a network, its running average, the optimiser and the model's own chains."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel, load_tensors, save_tensors
from molebm.models.network import ParameterNetwork
from molebm.samplers.baoab import baoab, maxwell_boltzmann
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.run import sample
from molebm.topology import Topology, concatenate
from molebm.training.conditional_nce import conditional_nce
from molebm.training.config import TrainingConfig
from molebm.training.contrastive_divergence import contrastive_divergence
from molebm.training.replay_buffer import ReplayBuffer, draw_data
from molebm.training.shards import Reference
from molebm.units import BOLTZMANN

HOT = 4.0  # times the bath: a chain this hot is being torn apart by its own forces


class Update(NamedTuple):
    """What one update did."""

    stage: str
    loss: float
    gradient_norm: float
    learning_rate: float
    lost_chains: int  # of the model's chains, exploded and restarted from data


class TrainingRun:
    """Learnt weights and everything else that the next update needs."""

    def __init__(self, config: TrainingConfig, references: Sequence[Reference], device: torch.device) -> None:
        self.config, self.references, self.device = config, references, device
        self.generator = torch.Generator().manual_seed(config.seed)
        self.noise = torch.Generator(device).manual_seed(config.seed + 1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)  # noqa: TID251, layers draw their weights from the forked global state
            self.network = ParameterNetwork(**config.network.model_dump()).to(device)
        self.average = ParameterNetwork(**config.network.model_dump()).to(device).requires_grad_(False)
        self.average.load_state_dict(self.network.state_dict())
        self.optimiser = torch.optim.AdamW(self.network.parameters(), weight_decay=config.optimiser.weight_decay)
        spread = torch.tensor(config.temperatures).repeat(-(-config.columns // len(config.temperatures)))
        self.temperatures = spread[: config.columns]
        self.buffer = ReplayBuffer(references, self.temperatures, self.generator)
        self.n_updates = 0

    def advance(self) -> Update:
        """Make one update: draw molecules, contrast, step, average."""
        config = self.config
        count = min(config.molecules_per_update, len(self.references))
        chosen = torch.randperm(len(self.references), generator=self.generator)[:count].tolist()
        topology = concatenate([self.references[index].topology for index in chosen]).to(self.device)
        data = torch.cat(
            [draw_data(self.references[index], self.temperatures, self.generator) for index in chosen], dim=1
        ).to(self.device)
        energy_fn = MechanicalEnergy(topology, self.network(topology))
        if self.n_updates < config.warm_up.updates:
            stage, lost = "conditional NCE", 0
            loss = self._warm_up_loss(energy_fn, data)
        else:
            stage = "persistent CD"
            loss, lost = self._contrast_loss(energy_fn, topology, data, chosen)
        rate = self._learning_rate()
        for group in self.optimiser.param_groups:
            group["lr"] = rate
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), config.optimiser.clip)
        if torch.isfinite(norm):
            self.optimiser.step()
        self._average_weights()
        self.n_updates += 1
        return Update(stage, loss.item(), norm.item(), rate, lost)

    def model(self, metadata: dict[str, Any] | None = None) -> LearnedModel:
        """Return the averaged network as a model."""
        return LearnedModel(self.average, {"network": self.config.network.model_dump(), **(metadata or {})})

    def save(self, path: Path) -> None:
        """Write everything that the next update needs, complete or not at all."""
        tensors = {f"network.{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"average.{name}": value for name, value in self.average.state_dict().items()}
        for index, slot in self.optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{index}.{name}": value for name, value in slot.items()}
        tensors |= {f"chain.{index}": chain for index, chain in enumerate(self.buffer.chains)}
        tensors |= {"generator": self.generator.get_state(), "noise": self.noise.get_state()}
        save_tensors(path, tensors | {"n_updates": torch.tensor(self.n_updates)})

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
        self.buffer.chains = [tensors[f"chain.{index}"] for index in range(len(self.references))]
        self.generator.set_state(tensors["generator"])
        self.noise.set_state(tensors["noise"])
        self.n_updates = int(tensors["n_updates"])

    def _warm_up_loss(self, energy_fn: MechanicalEnergy, data: Tensor) -> Tensor:
        low, high = (math.log(width) for width in self.config.warm_up.noise)
        width = torch.empty(data.shape[2], device=self.device).uniform_(low, high, generator=self.noise).exp()
        noised = data + width * torch.empty_like(data).normal_(generator=self.noise)
        energy, energy_noised = energy_fn(torch.cat([data, noised], dim=-1)).chunk(2, dim=-1)
        return conditional_nce(energy, energy_noised, self._thermal_energy())

    def _contrast_loss(
        self, energy_fn: MechanicalEnergy, topology: Topology, data: Tensor, chosen: list[int]
    ) -> tuple[Tensor, int]:
        settings = self.config.contrast
        starts = self.buffer.take(chosen, self.references, settings.restart, self.generator).to(self.device)
        masses = repartition_hydrogen_mass(topology, hydrogen_mass=settings.hydrogen_mass)
        frozen = MechanicalEnergy(topology, energy_fn.parameters.map(Tensor.detach))
        sampler = baoab(frozen, topology, masses=masses, time_step=settings.time_step, friction=settings.friction)
        state = sampler.init(starts)
        velocities = maxwell_boltzmann(topology, masses, starts, kT=self._thermal_energy(), generator=self.noise)
        (((state, info)),) = sample(
            sampler,
            state._replace(velocities=velocities),
            kT=self._thermal_energy(),
            n_steps=settings.n_steps,
            generator=self.noise,
            thin=settings.n_steps,
        )
        sound = torch.isfinite(state.energy) & (
            info.kinetic_temperature < HOT * self.temperatures.to(self.device)
        )  # (G, C)
        samples = torch.where(sound[topology.molecule], state.positions, data)
        self.buffer.put(chosen, samples.cpu(), sound.cpu(), self.references)
        energy_data, energy_model = energy_fn(torch.cat([data, samples], dim=-1)).chunk(2, dim=-1)
        loss = contrastive_divergence(energy_data, energy_model, self._thermal_energy())
        return loss, int((~sound).sum())

    def _thermal_energy(self) -> Tensor:
        return BOLTZMANN * self.temperatures.to(self.device)

    def _learning_rate(self) -> float:
        settings = self.config.optimiser
        share = self.n_updates / max(1, self.config.total_updates)
        cosine = (1 + math.cos(math.pi * min(1.0, share))) / 2
        return settings.final_learning_rate + (settings.learning_rate - settings.final_learning_rate) * cosine

    def _average_weights(self) -> None:
        keep = min(self.config.optimiser.averaging, (1 + self.n_updates) / (10 + self.n_updates))
        with torch.no_grad():
            for mean, value in zip(self.average.parameters(), self.network.parameters(), strict=True):
                mean.lerp_(value, 1 - keep)


def _under(prefix: str, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
