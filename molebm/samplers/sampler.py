"""What every sampler is: how a chain starts, how it moves, and the state it carries."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from torch import Generator, Tensor

from molebm.topology import Topology

S = TypeVar("S")
I = TypeVar("I")  # noqa: E741


class Sampler(NamedTuple, Generic[S, I]):
    """A Markov kernel as two functions; C chains of G molecules move at once.

    ``init(positions)`` evaluates a starting state. ``step(state, kT, generator)`` returns the next state and
    what a person wants to know of the step. kT is in kcal/mol and broadcasts to (G, C). All randomness comes
    from `generator`, which lives on the device of the positions: the same seed gives the same bits on a CPU.
    A step never writes into the state that it was given.

    A conformer whose energy is not finite is lost or rejected (each sampler says which) and shows in
    ``state.energy``; it never changes another conformer or another molecule.
    """

    init: Callable[[Tensor], S]
    step: Callable[[S, float | Tensor, Generator], tuple[S, I]]


class State(NamedTuple):
    """Where the chains are, with the energy and forces there."""

    positions: Tensor  # (3, N, C) Å
    energy: Tensor  # (G, C) kcal/mol
    forces: Tensor  # (3, N, C) kcal/mol/Å


class DynamicsState(NamedTuple):
    """Where the chains are and how fast they move, with the energy and forces there."""

    positions: Tensor  # (3, N, C) Å
    energy: Tensor  # (G, C) kcal/mol
    forces: Tensor  # (3, N, C) kcal/mol/Å
    velocities: Tensor  # (3, N, C) Å/fs


ReplicaState = TypeVar("ReplicaState", State, DynamicsState)


def over_atoms(value: float | Tensor, topology: Topology) -> float | Tensor:
    """Spread what broadcasts to (G, C) over the atoms of each molecule, so that it broadcasts to (3, N, C)."""
    if isinstance(value, Tensor) and value.dim() == 2 and value.shape[0] > 1:
        return value[topology.molecule]  # (N, C)
    return value
