"""Atoms, bonds and terms that a graph network cannot tell apart, so that it computes each kind once.

After r rounds of messages an encoding is a function of the graph within r bonds. Most surroundings come again:
hydrogens of one carbon, halves of a ring, groups that many molecules have.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.topology import ATOM_FEATURE_SIZES, BOND_FEATURE_SIZES, Topology

_FACTORS: Final = (-4658895280553007687, -7723592293110705685)  # of splitmix64, as signed integers
_OWN: Final = 3  # sets an atom apart from its neighbours


class Kinds(NamedTuple):
    """A division of n things into M kinds of equals."""

    of: Tensor  # (n,) int64, kind of each thing
    example: Tensor  # (M,) int64, the first thing of each kind


def kinds(rows: Sequence[Tensor]) -> Kinds:
    """Divide things by all that is known of each, int64 rows (n,)."""
    codes = functools.reduce(lambda codes, row: codes * _FACTORS[0] + row, rows)
    found, of = torch.unique(codes, return_inverse=True)
    place = torch.arange(len(codes), device=codes.device)
    return Kinds(of, torch.zeros_like(found).scatter_reduce(0, of, place, "amin", include_self=False))


def bond_kinds(topology: Topology) -> Kinds:
    """Divide bonds by their features."""
    return kinds([_packed(topology.bond_features, BOND_FEATURE_SIZES)])


def atom_kinds(topology: Topology, n_rounds: int) -> Iterator[Kinds]:
    """Divide atoms by their features, and then by what they see after each round of messages.

    References
    ----------
    Weisfeiler and Leman, Nauchno-Technicheskaya Informatsia 2(9), 12 (1968).
    """
    colour = _mixed(_packed(topology.atom_features, ATOM_FEATURE_SIZES))
    along = _mixed(_packed(topology.bond_features, BOND_FEATURE_SIZES)).repeat(2)  # a row for each direction
    senders, receivers = torch.cat([topology.bonds, topology.bonds.flip(0)], dim=1)
    yield kinds([colour])
    for _ in range(n_rounds):
        seen = torch.zeros_like(colour).index_add(0, receivers, _mixed(colour[senders] + along))
        colour = _mixed(_OWN * colour + seen)
        yield kinds([colour])


def _packed(features: Tensor, sizes: Sequence[int]) -> Tensor:
    """Write categories (F, n) as one number for each thing."""
    packed = torch.zeros_like(features[0])
    for row, size in zip(features, sizes, strict=True):
        packed = packed * size + row
    return packed


def _mixed(x: Tensor) -> Tensor:
    """Scatter 64 bits, so that sums of the results are as good as unique.

    References
    ----------
    Steele, Lea and Flood, OOPSLA 2014, 453: splitmix64.
    """
    x = (x ^ (x >> 30)) * _FACTORS[0]
    x = (x ^ (x >> 27)) * _FACTORS[1]
    return x ^ (x >> 31)
