"""Langevin dynamics of rows of numbers under a dimensionless energy, and the buffer that chains wait in."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor


def langevin(
    energy: Callable[[Tensor], Tensor], x: Tensor, *, step_size: float, n_steps: int, generator: Generator
) -> Tensor:
    r"""Move by :math:`x' = x - \alpha\nabla E(x) + \sqrt{2\alpha}\,\xi`, which samples :math:`e^{-E}` but for its bias.

    Along a mode of curvature :math:`\lambda` the stationary variance is :math:`1/\lambda(1 - \alpha\lambda/2)`. A row
    that ceases to be finite stays where it was.

    Parameters
    ----------
    energy
        Maps (n, ...) to (n,).
    step_size
        :math:`\alpha`, in squared units of x.

    References
    ----------
    Welling and Teh, ICML 681 (2011); Du and Mordatch, NeurIPS 2019, arXiv:1903.08689.
    """
    x = x.detach()
    for _ in range(n_steps):
        with torch.enable_grad():
            at = x.requires_grad_()
            (gradient,) = torch.autograd.grad(energy(at).sum(), at)
        noise = torch.empty_like(x).normal_(generator=generator)
        moved = x.detach() - step_size * gradient + (2 * step_size) ** 0.5 * noise
        x = torch.where(moved.isfinite().flatten(1).all(1).view(-1, *[1] * (x.dim() - 1)), moved, x.detach())
    return x


class Buffer(NamedTuple):
    """Chains that go on where they stopped, drawn at random.

    References
    ----------
    Tieleman, ICML 1064 (2008); Du and Mordatch, NeurIPS 2019, arXiv:1903.08689, section 3.1.
    """

    chains: Tensor  # (B, ...)

    def draw(self, count: int, generator: Generator) -> tuple[Tensor, Tensor]:
        """Draw chains, each once while there are enough; return their places and where they stopped."""
        device = self.chains.device
        rounds = -(-count // len(self.chains))
        drawn = [torch.randperm(len(self.chains), generator=generator, device=device) for _ in range(rounds)]
        rows = torch.cat(drawn)[:count]
        return rows, self.chains[rows]

    def keep(self, rows: Tensor, chains: Tensor) -> Buffer:
        """Put chains back in their places, in a new buffer."""
        return Buffer(self.chains.index_copy(0, rows, chains.detach()))
