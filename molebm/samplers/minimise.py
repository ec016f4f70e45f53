"""Downhill to the nearest minimum, every conformer at its own pace."""

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.topology import Topology

SUFFICIENT_DECREASE = 1e-4  # of the decrease that the slope promises; Nocedal and Wright, section 3.1
FIRST_SCALE = 1e-3  # Å²/(kcal/mol), the inverse of a bond's curvature, until there is a measured one
SHORTEST_STEP = 1e-5  # fraction of the quasi-Newton step below which a conformer is given up


class Minimum(NamedTuple):
    """Where the descent ended, and whether that is a minimum."""

    positions: Tensor  # (3, N, C) Å
    energy: Tensor  # (G, C) kcal/mol
    forces: Tensor  # (3, N, C) kcal/mol/Å
    max_force: Tensor  # (G, C) kcal/mol/Å, length of the largest force on an atom
    converged: Tensor  # (G, C) bool, max_force is within the tolerance
    steps: Tensor  # (G, C) int64, energy evaluations after the first that each conformer took


class _Pair(NamedTuple):
    """A step and what it taught of the curvature; zero where a conformer did not move."""

    step: Tensor  # (3, N, C) Å
    change: Tensor  # (3, N, C) kcal/mol/Å, of the gradient
    weight: Tensor  # (G, C) 1/(step·change), 0 where the pair teaches nothing


def minimise(
    energy_fn: EnergyFn,
    topology: Topology,
    positions: Tensor,
    *,
    force_tolerance: float = 0.05,
    max_steps: int = 1000,
    max_displacement: float = 0.2,
    history: int = 6,
) -> Minimum:
    """Minimise every conformer of every molecule by L-BFGS, in one batch but independently.

    One evaluation per step serves all: a conformer whose energy rose stays where it was and tries a shorter
    step while its neighbours go on, and one that has converged rests. A conformer that starts at a non-finite
    energy, or cannot go down any more, is returned as not converged where it stands.

    Parameters
    ----------
    positions
        (3, N, C) Å.
    force_tolerance
        kcal/mol/Å, on the length of the largest force on any atom of the conformer.
    max_steps
        Energy evaluations after the first.
    max_displacement
        Å, the most an atom moves in a step; the whole step is shortened, its direction kept.
    history
        Pairs of steps and gradient changes that model the curvature.

    References
    ----------
    Liu and Nocedal, Math. Program. 45, 503 (1989).
    """
    check_every = 1 if positions.device.type == "cpu" else 10  # asking a GPU makes it wait
    positions = positions.detach()
    energy, forces = energy_and_forces(energy_fn, positions)
    max_force = _largest(topology, forces)  # (G, C)
    active = (max_force > force_tolerance) & energy.isfinite() & max_force.isfinite()
    steps = torch.zeros_like(energy, dtype=torch.int64)
    fraction = torch.ones_like(energy)  # of the quasi-Newton step
    scale = torch.full_like(energy, FIRST_SCALE)
    pairs: deque[_Pair] = deque(maxlen=history)
    slack = 32 * torch.finfo(energy.dtype).eps

    for n in range(max_steps):
        if n % check_every == 0 and not bool(active.any()):
            break
        direction = _quasi_newton(topology, pairs, scale, forces)
        length = fraction * (max_displacement / _largest(topology, direction)).clamp(max=1)  # (G, C)
        promised = length * _dot(topology, forces, direction)  # kcal/mol
        trial = torch.addcmul(positions, direction, length[topology.molecule])
        trial_energy, trial_forces = energy_and_forces(energy_fn, trial)

        highest = energy - SUFFICIENT_DECREASE * promised + slack * (1 + energy.abs())
        accepted = active & trial_energy.isfinite() & (trial_energy <= highest)
        atoms = accepted[topology.molecule]  # (N, C)
        rise = trial_energy - energy + promised  # above the tangent; positive wherever a step is rejected
        shorter = (promised / (2 * rise)).clamp(0.1, 0.5).nan_to_num(nan=0.1)  # minimum of the parabola
        fraction = torch.where(accepted, 1.0, fraction * shorter)

        moved = torch.where(atoms, trial, positions)
        forces_there = torch.where(atoms, trial_forces, forces)
        pair, scale = _learn(topology, moved - positions, forces - forces_there, scale)
        pairs.append(pair)
        positions, forces = moved, forces_there
        energy = torch.where(accepted, trial_energy, energy)
        max_force = _largest(topology, forces)
        steps += active
        active = active & (max_force > force_tolerance) & (fraction > SHORTEST_STEP)

    return Minimum(positions, energy, forces, max_force, max_force <= force_tolerance, steps)


def _quasi_newton(topology: Topology, pairs: deque[_Pair], scale: Tensor, forces: Tensor) -> Tensor:
    """Multiply the forces by the inverse Hessian that the pairs describe: the two-loop recursion."""
    direction = forces.clone()
    weights = []
    for pair in reversed(pairs):
        weights.append(pair.weight * _dot(topology, pair.step, direction))
        direction.addcmul_(pair.change, weights[-1][topology.molecule], value=-1)
    direction.mul_(scale[topology.molecule])
    for pair in pairs:
        correction = weights.pop() - pair.weight * _dot(topology, pair.change, direction)
        direction.addcmul_(pair.step, correction[topology.molecule])
    return direction


def _learn(topology: Topology, step: Tensor, change: Tensor, scale: Tensor) -> tuple[_Pair, Tensor]:
    """Keep a step that met positive curvature, and take from it the scale of the inverse Hessian."""
    curvature = _dot(topology, step, change)
    squared_change = _dot(topology, change, change)
    useful = curvature > 1e-8 * squared_change
    weight = torch.where(useful, 1 / curvature, 0.0)
    return _Pair(step, change, weight), torch.where(useful, curvature / squared_change, scale)


def _dot(topology: Topology, a: Tensor, b: Tensor) -> Tensor:
    """Inner product over the coordinates of each conformer of each molecule, (G, C)."""
    return topology.sum_atoms((a * b).sum(0))


def _largest(topology: Topology, vectors: Tensor) -> Tensor:
    """Length of the longest atomic vector of each conformer of each molecule, (G, C)."""
    lengths = vectors.square().sum(0).sqrt_()  # (N, C); vector_norm over a leading axis is 70 times slower
    longest = lengths.new_zeros((topology.n_molecules, lengths.shape[1]))
    return longest.scatter_reduce(0, topology.molecule[:, None].expand_as(lengths), lengths, "amax")
