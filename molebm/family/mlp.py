r"""Energy of a row of descriptors: a multilayer perceptron on top of a Gaussian."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from molebm.family.config import FamilyConfig
from molebm.family.interface import Data, FamilyModel, Moment, State, Step
from molebm.family.langevin import langevin
from molebm.training.config import Count, Fraction, Positive

LEAST_VARIANCE = 1e-3  # of a direction, in units of that of a descriptor
LARGEST = 1e4  # of an input, in scales; beyond it all are as far


class MlpConfig(FamilyConfig):
    """How the energy of descriptors is trained."""

    model: Literal["mlp"] = "mlp"
    width: Count = 128
    n_layers: Count = 2  # hidden
    objective: Literal["nce", "pcd"] = "nce"
    wide: Positive = 2.0  # of NCE: width of the second noise, in units of the data's
    n_steps: Count = 20  # of PCD: of Langevin dynamics in each update
    step_size: Positive = 0.03  # of PCD
    chains: Count = 1024  # of PCD
    restart: Fraction = 0.05  # of PCD: chains that begin again from noise
    regularisation: Annotated[float, Field(ge=0)] = 0.01  # of PCD: of the squares of energies above the Gaussian's
    updates: Count = 3000
    batch_size: Count = 256


class DescriptorEnergy(FamilyModel):
    r"""Energy :math:`E(z) = \tfrac12 |z|^2 + f(z)` of whitened descriptors.

    Descriptors are made :math:`\mathrm{asinh}((x - m)/s)` with their median and spread, which tames long tails, and
    then whitened to :math:`z`. With noise-contrastive estimation the energy is :math:`-\ln p(z)` up to
    :math:`\tfrac d2 \ln 2\pi`, its partition function learned beside it and so 1; with persistent contrastive
    divergence up to a constant.

    References
    ----------
    Gutmann and Hyvärinen, AISTATS, 297 (2010). Du and Mordatch, arXiv:1903.08689 (2019), for Langevin chains that are
    kept.
    """

    kind = "mlp"
    Config = MlpConfig
    median: Tensor
    spread: Tensor
    centre: Tensor
    whitening: Tensor

    def __init__(self, n_descriptors: int, n_directions: int, width: int, n_layers: int) -> None:
        super().__init__()
        sizes = [n_directions, *[width] * n_layers]
        hidden = [layer for a, b in zip(sizes, sizes[1:], strict=False) for layer in (nn.Linear(a, b), nn.SiLU())]
        last = nn.Linear(width, 1)
        nn.init.zeros_(last.weight)
        self.network = nn.Sequential(*hidden, last)
        self._sizes = {"width": width, "n_layers": n_layers}
        self.register_buffer("median", torch.zeros(n_descriptors))  # (D,)
        self.register_buffer("spread", torch.ones(n_descriptors))  # (D,)
        self.register_buffer("centre", torch.zeros(n_descriptors))  # (D,) of the tamed
        self.register_buffer("whitening", torch.eye(n_descriptors)[:, :n_directions])  # (D, d)

    @classmethod
    def build(cls, config: MlpConfig, data: Data) -> DescriptorEnergy:
        """Learn median, spread and whitening from the training molecules."""
        x = torch.cat([batch["x"] for batch in data.batches("train", 4096, torch.device("cpu"))])
        median = x.median(0).values
        quartiles = torch.quantile(x[:: max(1, len(x) // 5000)], torch.tensor([0.25, 0.75]), dim=0)
        spread = torch.where(quartiles[1] > quartiles[0], quartiles[1] - quartiles[0], x.std(0)).clamp(min=1e-6)
        tamed = tame(x, median, spread).double()
        centre = tamed.mean(0)
        values, vectors = torch.linalg.eigh(torch.cov((tamed - centre).T))
        kept = values > LEAST_VARIANCE
        whitening = vectors[:, kept] / values[kept].sqrt()
        model = cls(x.shape[1], int(kept.sum()), config.width, config.n_layers)
        for name, value in {"median": median, "spread": spread, "centre": centre, "whitening": whitening}.items():
            getattr(model, name).copy_(value)
        return model

    def settings(self) -> dict[str, Any]:
        n_descriptors, n_directions = self.whitening.shape
        return {"n_descriptors": n_descriptors, "n_directions": n_directions, **self._sizes}

    def whiten(self, x: Tensor) -> Tensor:
        """Descriptors (n, D) to z (n, d)."""
        return (tame(x, self.median, self.spread) - self.centre) @ self.whitening

    def energy(self, x: Tensor) -> Tensor:
        return self.whitened_energy(self.whiten(x))

    def whitened_energy(self, z: Tensor) -> Tensor:
        """E (n,) of z (n, d)."""
        return z.square().sum(-1) / 2 + self.network(z).squeeze(-1)

    def begin(self, config: MlpConfig, data: Data, moment: Moment) -> State:
        if config.objective == "nce":
            return {}
        return {"chains": self._noise(config.chains, 1.0, moment.generator)}

    def step(self, batch: dict[str, Tensor], state: State, config: MlpConfig, moment: Moment) -> Step:
        z = self.whiten(batch["x"])
        if config.objective == "nce":
            return self._nce(z, config.wide, moment.generator)
        return self._pcd(z, state["chains"], config, moment.generator)

    def _nce(self, z: Tensor, wide: float, generator: Generator) -> Step:
        """Tell data from noise, half of it as wide as the data and half wider, by the ratio of their densities."""
        half = len(z) // 2 + 1
        noise = torch.cat([self._noise(half, 1.0, generator), self._noise(half, wide, generator)])
        on_data = -self.whitened_energy(z) + noise_energy(z, wide)
        on_noise = -self.whitened_energy(noise) + noise_energy(noise, wide)
        loss = softplus(-on_data).mean() + softplus(on_noise).mean()
        figures = {"told apart": ((on_data > 0).float().mean() + (on_noise < 0).float().mean()).item() / 2}
        return Step(loss, figures, {})

    def _pcd(self, z: Tensor, chains: Tensor, config: MlpConfig, generator: Generator) -> Step:
        """Energy down on data and up on chains of Langevin dynamics."""
        anew = torch.rand((len(chains), 1), generator=generator, device=chains.device) < config.restart
        chains = torch.where(anew, self._noise(len(chains), 1.0, generator), chains)
        chains = langevin(
            self.whitened_energy, chains, step_size=config.step_size, n_steps=config.n_steps, generator=generator
        )
        of_data, of_chains = self.whitened_energy(z), self.whitened_energy(chains)
        above = torch.cat([self.network(z), self.network(chains)])
        loss = of_data.mean() - of_chains.mean() + config.regularisation * above.square().mean()
        return Step(loss, {"gap": (of_chains.mean() - of_data.mean()).item()}, {"chains": chains})

    def _noise(self, n: int, width: float, generator: Generator) -> Tensor:
        shape = (n, self.whitening.shape[1])
        return width * torch.randn(shape, generator=generator, device=self.whitening.device)


def noise_energy(z: Tensor, wide: float) -> Tensor:
    r"""Minus the logarithm of the density (n,) of the noise at z (n, d), without :math:`\tfrac d2 \ln 2\pi`."""
    square, d = z.square().sum(-1) / 2, z.shape[1]
    narrow, broad = -square, -square / wide**2 - d * torch.tensor(wide).log().to(z)
    return -(torch.logaddexp(narrow, broad) - torch.tensor(2.0).log().to(z))


def tame(x: Tensor, median: Tensor, spread: Tensor) -> Tensor:
    """Scale and bend descriptors, (n, D)."""
    return torch.asinh(((x - median) / spread).clamp(-LARGEST, LARGEST))
