"""The Metropolis test, for proposals that are as likely to be undone as done."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.samplers.sampler import ReplicaState, Sampler, State
from molebm.topology import Topology


class Proposal(NamedTuple):
    """Where each conformer would go, and by which of the moves that its molecule has."""

    positions: Tensor  # (3, N, C) Å
    chosen: Tensor  # (G, C) int64, the row of the move in its table, -1 for a molecule that has none


class MoveInfo(NamedTuple):
    """How each conformer fared against the Metropolis test, and which move was tried."""

    acceptance: Tensor  # (G, C) probability that the proposal had of being accepted, 0 where there was none
    accepted: Tensor  # (G, C) bool
    chosen: Tensor  # (G, C) int64, as in `Proposal`


def metropolis(
    energy_fn: EnergyFn, topology: Topology, propose: Callable[[Tensor, Generator], Proposal]
) -> Sampler[State, MoveInfo]:
    r"""Accept what `propose` offers with probability :math:`\min(1, e^{-[E(x') - E(x)]/kT}`).

    This leaves :math:`e^{-E/kT}` invariant if the proposal is reversible and keeps volumes: a move and the
    move that undoes it are chosen equally often, and the determinant of its Jacobian is ±1. The step takes
    the state of any sampler. Velocities are kept: they do not depend on the positions, so the joint
    distribution stays as it is too. A proposal whose energy or forces are not finite has acceptance 0.

    Parameters
    ----------
    propose
        Takes positions (3, N, C) Å and a generator.

    References
    ----------
    Metropolis, Rosenbluth, Rosenbluth, Teller and Teller, J. Chem. Phys. 21, 1087 (1953).
    """

    def init(positions: Tensor) -> State:
        return State(positions.detach(), *energy_and_forces(energy_fn, positions))

    def step(state: ReplicaState, kT: float | Tensor, generator: Generator) -> tuple[ReplicaState, MoveInfo]:
        positions, chosen = propose(state.positions, generator)
        energy, forces = energy_and_forces(energy_fn, positions)
        sound = energy.isfinite() & topology.sum_atoms(forces.sum(0)).isfinite() & (chosen >= 0)
        acceptance = ((state.energy - energy) / kT).clamp(max=0).exp().nan_to_num(nan=0.0) * sound
        accepted = torch.empty_like(acceptance).uniform_(generator=generator) < acceptance
        atoms = accepted[topology.molecule]  # (N, C)
        moved = state._replace(
            positions=torch.where(atoms, positions, state.positions),
            energy=torch.where(accepted, energy, state.energy),
            forces=torch.where(atoms, forces, state.forces),
        )
        return moved, MoveInfo(acceptance, accepted, chosen)

    return Sampler(init, step)


def choose(molecule: Tensor, topology: Topology, positions: Tensor, generator: Generator) -> Tensor:
    """Draw one row for each conformer from those of its molecule, all alike, (G, C) int64; -1 if it has none.

    Parameters
    ----------
    molecule
        (R,) int64, sorted: the molecule of each row.
    """
    count = torch.bincount(molecule, minlength=topology.n_molecules)[:, None]  # (G, 1)
    first = count.cumsum(0) - count
    uniform = positions.new_empty(topology.n_molecules, positions.shape[-1]).uniform_(generator=generator)
    row = first + (uniform * count).long().minimum(count - 1)  # a product may be rounded up to the count
    return row.where(count > 0, -1)
