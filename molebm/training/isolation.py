"""Keep the gradient of one molecule from reaching another, whatever it is."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.parameters import COLUMNS, Parameters
from molebm.topology import Topology


class Isolated(NamedTuple):
    """The gradient of each parameter, in order, and whose was no number."""

    gradients: dict[str, Tensor]
    sound: Tensor  # (G,) bool


def leaves_of(parameters: Parameters) -> Parameters:
    """Cut the parameters off from the network, so that a loss leaves its gradient on them."""
    return parameters.map(lambda value: value.detach().requires_grad_())


def isolate(topology: Topology, leaves: Parameters, *, outlier: float) -> Isolated:
    """Take the gradients off the leaves, molecule by molecule.

    A molecule with any gradient that is not finite gives none. One whose gradient is larger than
    `outlier` times the median of the batch, in the norm over all its parameters, is scaled down to that.
    """
    grads = {name: getattr(leaves, name).grad for name in COLUMNS}
    gradients = {name: gradient for name, gradient in grads.items() if gradient is not None}
    squares = topology.molecule.new_zeros(topology.n_molecules, dtype=torch.float32)
    for name, gradient in gradients.items():
        per_column = gradient.square() if gradient.dim() == 1 else gradient.square().sum(0)
        squares = squares.index_add(0, topology.molecule_of(COLUMNS[name]), per_column)
    norms = squares.sqrt()
    sound = torch.isfinite(norms)
    limit = outlier * norms[sound].median() if sound.any() else norms.new_tensor(0.0)
    scale = (limit / norms.clamp(min=torch.finfo(norms.dtype).tiny)).clamp(max=1.0)  # (G,)
    for name, gradient in gradients.items():
        molecule = topology.molecule_of(COLUMNS[name])
        gradients[name] = torch.where(sound[molecule], gradient * scale[molecule], 0.0)
    return Isolated(gradients, sound)
