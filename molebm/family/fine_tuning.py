"""A property from a few labels: a deep belief network, unrolled and trained on by gradient descent."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from molebm.family.dbn import DeepBeliefNetwork


class Regressor(nn.Module):
    """The up-pass of a network, all layers side by side, and a line above it.

    References
    ----------
    Hinton and Salakhutdinov, Science 313, 504 (2006).
    """

    def __init__(self, network: DeepBeliefNetwork) -> None:
        super().__init__()
        own = copy.deepcopy(network).requires_grad_(True)
        self.weights = nn.ParameterList([machine.weights for machine in own._machines()])
        self.biases = nn.ParameterList([machine.hidden_bias for machine in own._machines()])
        self.line = nn.Linear(sum(len(bias) for bias in self.biases), 1)
        nn.init.zeros_(self.line.weight)
        nn.init.zeros_(self.line.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Standardised property (n,) of bits (n, V)."""
        found = []
        for weights, bias in zip(self.weights, self.biases, strict=True):
            x = torch.sigmoid(x @ weights + bias)
            found.append(x)
        return self.line(torch.cat(found, -1)).squeeze(-1)


def fine_tune(
    network: DeepBeliefNetwork,
    x: Tensor,
    y: Tensor,
    *,
    epochs: int = 200,
    rates: tuple[float, float] = (1e-4, 3e-3),
    weight_decay: float = 1e-2,
) -> Regressor:
    """Fit bits (n, V) to standardised properties (n,) by all layers, those of the network slower than the line.

    Parameters
    ----------
    rates
        Learning rates of the network and of the line.
    """
    regressor = Regressor(network)
    slow = [*regressor.weights, *regressor.biases]
    groups = [{"params": slow, "lr": rates[0]}, {"params": regressor.line.parameters(), "lr": rates[1]}]
    optimiser = torch.optim.AdamW(groups, weight_decay=weight_decay)
    for _ in range(epochs):
        optimiser.zero_grad(set_to_none=True)
        (regressor(x) - y).square().mean().backward()
        optimiser.step()
    return regressor.eval().requires_grad_(False)
