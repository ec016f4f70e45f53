r"""Restricted Boltzmann machine over bits of molecules."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
from pydantic import Field
from torch import Generator, Tensor, nn
from torch.nn.functional import softplus

from molebm.family.config import FamilyConfig
from molebm.family.interface import Data, FamilyModel, Moment, State, Step
from molebm.training.config import Count

FEWEST_MEAN, MOST_MEAN = 1e-3, 1 - 1e-3  # of a bit, for its first bias


class RbmConfig(FamilyConfig):
    """How an RBM is trained."""

    model: Literal["rbm"] = "rbm"
    hidden: Count = 64
    objective: Literal["cd", "pcd"] = "cd"
    n_steps: Count = 10  # of block Gibbs sampling in each update, the k of CD-k
    chains: Count = 256  # of PCD
    updates: Count = 2000
    batch_size: Count = 256
    learning_rate: Annotated[float, Field(gt=0)] = 5e-3
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.98


class RestrictedBoltzmannMachine(FamilyModel):
    r"""Bits v and hidden bits h with :math:`E(v,h) = -v^\top W h - b^\top v - c^\top h`.

    Its energy is the free energy :math:`F(v) = -b^\top v - \sum_j \ln(1 + e^{c_j + (v^\top W)_j})`, so that
    :math:`p(v) = e^{-F(v)}/Z`.

    References
    ----------
    Smolensky, in Parallel Distributed Processing 1, 194 (1986). Hinton, Neural Comput. 14, 1771 (2002), for CD.
    Tieleman, ICML, 1064 (2008), for PCD.
    """

    kind = "rbm"
    Config = RbmConfig

    def __init__(self, visible: int, hidden: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(0.01 * torch.randn(visible, hidden))  # (V, H) W
        self.visible_bias = nn.Parameter(torch.zeros(visible))  # (V,) b
        self.hidden_bias = nn.Parameter(torch.zeros(hidden))  # (H,) c

    @classmethod
    def build(cls, config: RbmConfig, data: Data) -> RestrictedBoltzmannMachine:
        """Begin with the visible biases that independent bits would have."""
        means = bit_means(data)
        machine = cls(len(means), config.hidden)
        with torch.no_grad():
            machine.visible_bias.copy_(means.clamp(FEWEST_MEAN, MOST_MEAN).logit())
        return machine

    def settings(self) -> dict[str, Any]:
        visible, hidden = self.weights.shape
        return {"visible": visible, "hidden": hidden}

    def energy(self, x: Tensor) -> Tensor:
        """Free energy (n,) of bits (n, V)."""
        return -x @ self.visible_bias - softplus(x @ self.weights + self.hidden_bias).sum(-1)

    def joint_energy(self, v: Tensor, h: Tensor) -> Tensor:
        """E(v, h) (n,) of bits (n, V) and hidden bits (n, H)."""
        return -((v @ self.weights) * h).sum(-1) - v @ self.visible_bias - h @ self.hidden_bias

    def hidden_given(self, v: Tensor) -> Tensor:
        """p(h = 1 | v), (n, H)."""
        return torch.sigmoid(v @ self.weights + self.hidden_bias)

    def visible_given(self, h: Tensor) -> Tensor:
        """p(v = 1 | h), (n, V)."""
        return torch.sigmoid(h @ self.weights.T + self.visible_bias)

    @torch.no_grad()
    def gibbs(self, v: Tensor, n_steps: int, generator: Generator) -> Tensor:
        """Sample all hidden bits, then all visible ones, so many times; leaves p(v) as it is."""
        for _ in range(n_steps):
            h = torch.bernoulli(self.hidden_given(v), generator=generator)
            v = torch.bernoulli(self.visible_given(h), generator=generator)
        return v

    def begin(self, config: RbmConfig, data: Data, moment: Moment) -> State:
        if config.objective == "cd":
            return {}
        probabilities = torch.sigmoid(self.visible_bias.detach()).expand(config.chains, -1)
        return {"chains": torch.bernoulli(probabilities, generator=moment.generator)}

    def step(self, batch: dict[str, Tensor], state: State, config: RbmConfig, moment: Moment) -> Step:
        """Free energy down on data and up on chains: its gradient is that of CD-k or PCD."""
        v = batch["x"]
        chains = self.gibbs(state.get("chains", v), config.n_steps, moment.generator)
        of_data, of_chains = self.energy(v).mean(), self.energy(chains).mean()
        figures = {"energy": of_data.item(), "gap": (of_chains - of_data).item()}
        return Step(of_data - of_chains, figures, {"chains": chains} if config.objective == "pcd" else {})


def bit_means(data: Data) -> Tensor:
    """Mean of every bit over the training molecules, (V,)."""
    total, n = torch.zeros(()), 0
    for batch in data.batches("train", 4096, torch.device("cpu")):
        total, n = total + batch["x"].sum(0), n + len(batch["x"])
    return total / max(1, n)
