r"""Energy of an image-like picture of a molecule by convolutions, learned against pictures that are of no molecule.

.. math:: E(x) = c + \frac{\sum_r e_r(x)}{1 + \sum_r |x_r| / m} + \tfrac{k}{2} |x|^2

with :math:`e_r` what a stack of convolutions sees about voxel r, for as much as there is to see: molecules of all sizes
compare. The stack has no biases, so that empty space has no energy, and what is moved in it has the energy that it had.

References
----------
Gutmann and Hyvärinen, J. Mach. Learn. Res. 13, 307 (2012), for noise-contrastive estimation; Ceylan and Gutmann, ICML
2018, arXiv:1806.03664, for the conditional one. Du and Mordatch, NeurIPS 2019, arXiv:1903.08689, for contrastive
divergence by Langevin dynamics. Mishkin and Matas, ICLR 2016, arXiv:1511.06422, for the first weights.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import softplus

from molebm.errors import RequestError
from molebm.family.config import FamilyConfig
from molebm.family.interface import Data, FamilyModel, Moment, State, Step
from molebm.family.langevin import Buffer, langevin
from molebm.family.picture_noise import spoiled
from molebm.training.config import Count, Fraction, Positive

SHIFTED = "shifted"
"""Name of the features that hold each picture with its atoms displaced."""

MASS: Final = 10.0  # m, what about three atoms add to a grid
FIRST_PICTURES: Final = 32  # that the first weights are scaled by
FIRST_SPREAD: Final = 0.1  # of the local energies before training

NotNegative = Annotated[float, Field(ge=0)]


class CnnConfig(FamilyConfig):
    """How a CNN energy is trained."""

    model: Literal["cnn"] = "cnn"
    widths: Annotated[tuple[Count, ...], Field(min_length=1)] = (16, 16, 32)  # channels; every other halves the grid
    stiffness: NotNegative = 0.0  # k; above 0 for contrastive divergence, whose Z is infinite without
    objective: Literal["nce", "cd"] = "nce"
    displaced: NotNegative = 1.0  # of nce, weight of each picture against itself with its atoms displaced
    smoothing: NotNegative = 0.05  # of cd, Gaussian noise on data
    n_steps: Count = 10  # of cd, of Langevin in each update
    step_size: Positive = 1e-3  # of cd
    chains: Count = 256  # of cd, that wait in the buffer
    restart: Fraction = 0.05  # of cd, chains that begin anew from data
    regularisation: NotNegative = 1e-3  # of the mean square of the energies
    updates: Count = 1000
    batch_size: Count = 32
    learning_rate: Positive = 3e-3


class CnnEnergy(FamilyModel):
    """Convolutions in three dimensions, every other one over every other voxel, and their sum."""

    kind = "cnn"
    Config = CnnConfig

    def __init__(self, n_channels: int, widths: list[int], stiffness: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for place, (inside, outside) in enumerate(pairwise([n_channels, *widths])):
            stride = 2 if place % 2 == 0 else 1
            layers += [nn.Conv3d(inside, outside, 3, stride, padding=1, bias=False), nn.SiLU()]
        self.convolutions = nn.Sequential(*layers, nn.Conv3d(widths[-1], 1, 1, bias=False))
        self.offset = nn.Parameter(torch.zeros(()))
        self.stiffness = stiffness

    @classmethod
    def build(cls, config: CnnConfig, data: Data) -> CnnEnergy:
        batch = next(data.batches("train", 1, torch.device("cpu")))
        if batch["x"].dim() != 5:
            raise RequestError("a CNN energy is of pictures; make features with `molebm featurise --features grid`")
        model = cls(batch["x"].shape[1], list(config.widths), config.stiffness)
        model.scale_weights(next(data.batches("train", FIRST_PICTURES, torch.device("cpu")))["x"])
        return model

    @torch.no_grad()
    def scale_weights(self, x: Tensor) -> None:
        """Make what each convolution gives of pictures vary by one, so that all learn from the start."""
        for layer in self.convolutions:
            if isinstance(layer, nn.Conv3d):
                wanted = FIRST_SPREAD if layer is self.convolutions[-1] else 1.0
                layer.weight *= wanted / layer(x).std().clamp(min=1e-6)
            x = layer(x)

    def settings(self) -> dict[str, Any]:
        convolutions = [layer for layer in self.convolutions if isinstance(layer, nn.Conv3d)]
        widths = [layer.out_channels for layer in convolutions[:-1]]
        return {"n_channels": convolutions[0].in_channels, "widths": widths, "stiffness": self.stiffness}

    def local_energies(self, x: Tensor) -> Tensor:
        """Give e_r of pictures (n, channels, X, Y, Z), (n, X', Y', Z')."""
        return self.convolutions(x)[:, 0]

    def energy(self, x: Tensor) -> Tensor:
        mass = x.abs().flatten(1).sum(1) / MASS
        seen = self.local_energies(x).flatten(1).sum(1) / (1 + mass)
        return self.offset + seen + self.stiffness / 2 * x.square().flatten(1).sum(1)

    def begin(self, config: CnnConfig, data: Data, moment: Moment) -> State:
        if config.objective == "nce":
            return {}
        drawn = data.draw(config.chains, torch.Generator().manual_seed(config.seed), self.offset.device)
        return {"chains": drawn["x"]}

    def step(self, batch: dict[str, Tensor], state: State, config: CnnConfig, moment: Moment) -> Step:
        if config.objective == "nce":
            return self._noise_contrastive(batch, config, moment)
        return self._contrastive_divergence(batch["x"], state, config, moment)

    def _noise_contrastive(self, batch: dict[str, Tensor], config: CnnConfig, moment: Moment) -> Step:
        """Tell pictures from spoiled ones, E being the logit; and each from itself with its atoms displaced."""
        x = batch["x"]
        data, wrong = self.energy(x), self.energy(spoiled(x, moment.generator))
        loss = softplus(data).mean() + softplus(-wrong).mean()
        figures = {"told apart": (wrong > data).float().mean().item()}
        energies = [data, wrong]
        if config.displaced and SHIFTED in batch:
            displaced = self.energy(batch[SHIFTED])
            loss = loss + config.displaced * softplus(data - displaced).mean()
            figures["displaced told apart"] = (displaced > data).float().mean().item()
            energies.append(displaced)
        magnitude = torch.cat(energies).square().mean()
        return Step(loss + config.regularisation * magnitude, figures, {})

    def _contrastive_divergence(self, x: Tensor, state: State, config: CnnConfig, moment: Moment) -> Step:
        """Energy down on data and up on chains of the buffer."""
        noise = torch.empty_like(x).normal_(generator=moment.generator)
        x = x + config.smoothing * noise
        buffer = Buffer(state["chains"])
        rows, start = buffer.draw(len(x), moment.generator)
        anew = torch.rand(len(x), generator=moment.generator, device=x.device) < config.restart
        start = torch.where(anew[:, None, None, None, None], x, start)
        chains = langevin(
            self.energy, start, step_size=config.step_size, n_steps=config.n_steps, generator=moment.generator
        )
        data, model = self.energy(x), self.energy(chains)
        magnitude = (data.square().mean() + model.square().mean()) / 2
        loss = data.mean() - model.mean() + config.regularisation * magnitude
        figures = {"energy": data.mean().item(), "gap": (model.mean() - data.mean()).item()}
        return Step(loss, figures, {"chains": buffer.keep(rows, chains).chains})

    def evaluate(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, float]:
        data, wrong = self.energy(batch["x"]), self.energy(spoiled(batch["x"], generator))
        found = {"energy": data.mean().item(), "told apart": (wrong > data).float().mean().item()}
        if SHIFTED in batch:
            found["displaced told apart"] = (self.energy(batch[SHIFTED]) > data).float().mean().item()
        return found
