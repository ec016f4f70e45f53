"""Pictures of molecules spoiled into pictures of no molecule: what a CNN energy is taught against."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import torch
from torch import Generator, Tensor

MIDDLE: Final = (0.35, 0.65)  # of the box, between which it is cut in two
FURTHEST: Final = 2  # voxels that one part is moved

Spoil = Callable[[Tensor, Tensor, Tensor, Generator], Tensor]
"""Maps a picture (channels, X, Y, Z), another one, the mask of a part, and a generator to a spoiled picture."""


def spoiled(x: Tensor, generator: Generator) -> Tensor:
    """Spoil each picture (n, channels, X, Y, Z) in one way, drawn at random; others of the batch lend their parts."""
    n = len(x)
    ways = torch.randint(len(WAYS), (n,), generator=generator, device=x.device).tolist()
    partners = torch.roll(torch.arange(n), 1).tolist()
    return torch.stack([WAYS[ways[i]](x[i], x[partners[i]], _part(x[i], generator), generator) for i in range(n)])


def spliced(x: Tensor, other: Tensor, part: Tensor, generator: Generator) -> Tensor:
    """Take one part from another picture."""
    return torch.where(part, other, x)


def slid(x: Tensor, other: Tensor, part: Tensor, generator: Generator) -> Tensor:
    """Move one part by a voxel or two."""
    by = _integer(1, FURTHEST, generator) * (2 * _integer(0, 1, generator) - 1)
    return torch.where(part, torch.roll(x, by, dims=1 + _integer(0, 2, generator)), x)


def exchanged(x: Tensor, other: Tensor, part: Tensor, generator: Generator) -> Tensor:
    """Exchange the elements of one part."""
    by = _integer(1, max(1, len(x) - 1), generator)
    return torch.where(part, torch.roll(x, by, dims=0), x)


def superposed(x: Tensor, other: Tensor, part: Tensor, generator: Generator) -> Tensor:
    """Put a part of another picture over this one."""
    return x + torch.where(part, other, torch.zeros_like(other))


def rescaled(x: Tensor, other: Tensor, part: Tensor, generator: Generator) -> Tensor:
    """Stretch or squeeze the whole picture about its middle, along the axis that is cut."""
    axis = next((axis for axis in (1, 2, 3) if part.shape[axis] > 1), 1)
    n = x.shape[axis]
    places = torch.arange(n, device=x.device) - (n - 1) / 2
    by = math.exp((2 * _integer(0, 1, generator) - 1) * (0.1 + 0.5 * _uniform(generator)))
    source = places * by + (n - 1) / 2
    below = source.floor().long()
    share = (source - below).view([-1 if a == axis else 1 for a in range(4)])

    def at(index: Tensor) -> Tensor:
        inside = ((index >= 0) & (index < n)).view_as(share)
        return torch.where(inside, x.index_select(axis, index.clamp(0, n - 1)), torch.zeros_like(x))

    return (1 - share) * at(below) + share * at(below + 1)


WAYS: Final[tuple[Spoil, ...]] = (spliced, slid, exchanged, superposed, rescaled)


def _part(x: Tensor, generator: Generator) -> Tensor:
    """Mask of the one or the other side of a cut across an axis, of a shape that broadcasts to the picture."""
    axis = _integer(0, 2, generator)
    n = x.shape[1 + axis]
    low, high = MIDDLE
    cut = low + (high - low) * _uniform(generator)
    side = torch.arange(n, device=x.device) < cut * n
    if _integer(0, 1, generator):
        side = ~side
    shape = [1, 1, 1, 1]
    shape[1 + axis] = n
    return side.view(shape)


def _uniform(generator: Generator) -> float:
    return float(torch.rand((), generator=generator, device=generator.device))


def _integer(low: int, high: int, generator: Generator) -> int:
    """Draw an integer from low to high, both included."""
    return int(torch.randint(low, high + 1, (), generator=generator, device=generator.device))
