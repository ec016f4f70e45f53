r"""Deep belief network: restricted Boltzmann machines stacked one on the hidden bits of another."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn

from molebm.family.config import FamilyConfig
from molebm.family.interface import Data, FamilyModel, Moment, State, Step
from molebm.family.rbm import RbmConfig, RestrictedBoltzmannMachine
from molebm.training.config import Count

SAMPLES = 32  # of the hidden bits, in the energy
_OF_MACHINES = ("objective", "n_steps", "chains")


class DbnConfig(FamilyConfig):
    """How a stack is trained: layer by layer, each for an equal share of the updates."""

    model: Literal["dbn"] = "dbn"
    layers: Annotated[tuple[Count, ...], Field(min_length=1)] = (256, 128)
    objective: Literal["cd", "pcd"] = "cd"
    n_steps: Count = 1
    chains: Count = 256
    updates: Count = 4000
    batch_size: Count = 256
    learning_rate: Annotated[float, Field(gt=0)] = 3e-3
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.98

    def of_machine(self) -> RbmConfig:
        return RbmConfig(**{name: getattr(self, name) for name in _OF_MACHINES})


class DeepBeliefNetwork(FamilyModel):
    r"""Bits v below hidden bits :math:`h_1, \ldots, h_L`, of which the last two layers are a Boltzmann machine.

    .. math:: p(v, h_1, \ldots, h_L) = p_1(v|h_1) \cdots p_{L-1}(h_{L-2}|h_{L-1})\, p_L(h_{L-1}, h_L)

    Its energy is the bound that greedy training lowers, with the up-pass :math:`q` for the hidden bits,

    .. math:: -\ln p(v) \le U(v) + \ln Z_L, \quad
              U(v) = F_1(v) + \sum_{l>1} \langle F_l(h_{l-1}) - G_{l-1}(h_{l-1}) \rangle_q

    where F is the free energy of the visible and G that of the hidden bits of a machine. With a single layer it is
    the free energy, and the bound is no bound but the truth.

    References
    ----------
    Hinton, Osindero and Teh, Neural Comput. 18, 1527 (2006).
    """

    kind = "dbn"
    Config = DbnConfig
    noise: Tensor

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.machines = nn.ModuleList(
            RestrictedBoltzmannMachine(below, above) for below, above in zip(sizes, sizes[1:], strict=False)
        )
        generator = torch.Generator().manual_seed(0)
        uniform = torch.rand((SAMPLES, max(sizes[1:])), generator=generator)
        self.register_buffer("noise", uniform)  # one for all inputs, so that the energy of one needs no other

    @classmethod
    def build(cls, config: DbnConfig, data: Data) -> DeepBeliefNetwork:
        first = RestrictedBoltzmannMachine.build(RbmConfig(hidden=config.layers[0]), data)
        network = cls([len(first.visible_bias), *config.layers])
        network.machines[0].load_state_dict(first.state_dict())
        return network

    def settings(self) -> dict[str, Any]:
        first, *_ = shapes = [machine.weights.shape for machine in self._machines()]
        return {"sizes": [first[0], *(shape[1] for shape in shapes)]}

    def energy(self, x: Tensor) -> Tensor:
        """U (n,) of bits (n, V), over `SAMPLES` samples of the hidden bits that are the same for all."""
        first, *others = self._machines()
        total = first.energy(x)
        below, h = first, x[:, None]  # (n, 1 then SAMPLES, bits)
        for machine in others:
            probabilities = below.hidden_given(h)
            h = (self.noise[:, : probabilities.shape[-1]] < probabilities).to(x.dtype)
            total = total + (machine.energy(h) - hidden_energy(below, h)).mean(1)
            below = machine
        return total

    @torch.no_grad()
    def features(self, x: Tensor) -> Tensor:
        """Probabilities of the hidden bits of all layers by the up-pass, (n, sum of the layers)."""
        found = []
        for machine in self._machines():
            x = machine.hidden_given(x)
            found.append(x)
        return torch.cat(found, -1)

    @torch.no_grad()
    def sample(self, n: int, n_steps: int, generator: Generator) -> Tensor:
        """Sample the topmost machine by block Gibbs from noise, and then bits (n, V) layer by layer down."""
        *below, top = self._machines()
        v = torch.bernoulli(torch.full((n, len(top.visible_bias)), 0.5, device=top.weights.device), generator=generator)
        v = top.gibbs(v.to(top.weights.dtype), n_steps, generator)
        for machine in reversed(below):
            v = torch.bernoulli(machine.visible_given(v), generator=generator)
        return v

    def begin(self, config: DbnConfig, data: Data, moment: Moment) -> State:
        """Begin the chains of every layer."""
        found: State = {}
        for level, machine in enumerate(self._machines()):
            begun = machine.begin(config.of_machine(), data, moment)
            found |= {f"{name}.{level}": value for name, value in begun.items()}
        return found

    def step(self, batch: dict[str, Tensor], state: State, config: DbnConfig, moment: Moment) -> Step:
        """Train the machine whose turn it is on samples of the hidden bits below it."""
        machines = self._machines()
        level = min(len(machines) - 1, int(moment.progress * len(machines)))
        h = batch["x"]
        with torch.no_grad():
            for machine in machines[:level]:
                h = torch.bernoulli(machine.hidden_given(h), generator=moment.generator)
        own = {"chains": state[f"chains.{level}"]} if f"chains.{level}" in state else {}
        found = machines[level].step({"x": h}, own, config.of_machine(), moment)
        kept = {**state, **{f"{name}.{level}": value for name, value in found.state.items()}}
        return Step(found.loss, {"layer": float(level + 1), **found.figures}, kept)

    def _machines(self) -> list[RestrictedBoltzmannMachine]:
        return [machine for machine in self.machines if isinstance(machine, RestrictedBoltzmannMachine)]


def hidden_energy(machine: RestrictedBoltzmannMachine, h: Tensor) -> Tensor:
    """Free energy (...) of the hidden bits (..., H), the visible ones summed out."""
    field = h @ machine.weights.T + machine.visible_bias
    return -h @ machine.hidden_bias - nn.functional.softplus(field).sum(-1)
