"""Downhill to the nearest minimum, every conformer at its own pace."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.samplers.rows import Rows, evaluate, gather, rows_of, scatter
from molebm.topology import Topology

SUFFICIENT_DECREASE = 1e-4  # of the decrease that the slope promises; Nocedal and Wright, section 3.1
FIRST_SCALE = 1e-3  # Å²/(kcal/mol), the inverse of a bond's curvature, until there is a measured one
SHORTEST_STEP = 1e-5  # fraction of the quasi-Newton step below which a conformer is given up
LONGEST_STEP = 64  # of the same, where the energy curves down and the scale is too small
ROUNDING = 32  # units in the last place of the energy, and of 1 kcal/mol per atom, that are not a rise
CHECK_EVERY = 10  # steps on a GPU, which has to wait, between looking who is still at work
WORTH_SHRINKING = 0.8  # fraction of the rows at work below which the others are dropped


class Minimum(NamedTuple):
    """Where the descent ended, and whether that is a minimum."""

    positions: Tensor  # (3, N, C) Å
    energy: Tensor  # (G, C) kcal/mol
    max_force: Tensor  # (G, C) kcal/mol/Å, length of the largest force on an atom
    converged: Tensor  # (G, C) bool, max_force is within the tolerance
    steps: Tensor  # (G, C) int64, energy evaluations after the first that each conformer took


class _Pair(NamedTuple):
    """A step and what it taught of the curvature; zero where a conformer did not move."""

    step: Tensor  # (R, D) Å
    change: Tensor  # (R, D) kcal/mol/Å, of the gradient
    weight: Tensor  # (R, 1) 1/(step·change), 0 where the pair teaches nothing


class _Springs(NamedTuple):
    """What draws conformers back to where they began."""

    anchor: Tensor  # (R, D) Å
    k: Tensor  # (R, D) kcal/mol/Å²


class _Descent(NamedTuple):
    """R conformers on their way down."""

    positions: Tensor  # (R, D) Å
    forces: Tensor  # (R, D) kcal/mol/Å
    energy: Tensor  # (R, 1) kcal/mol
    max_force: Tensor  # (R, 1) kcal/mol/Å
    fraction: Tensor  # (R, 1) of the quasi-Newton step that is tried; more than 1 where the energy curves down
    scale: Tensor  # (R, 1) Å²/(kcal/mol), the inverse Hessian where the pairs say nothing
    n_atoms: Tensor  # (R, 1) int64
    steps: Tensor  # (R, 1) int64
    active: Tensor  # (R, 1) bool


def minimise(
    energy_fn: EnergyFn,
    topology: Topology,
    positions: Tensor,
    *,
    force_tolerance: float = 0.05,
    max_steps: int = 1000,
    max_displacement: float = 0.2,
    history: int = 8,
    tether: Tensor | None = None,
) -> Minimum:
    """Minimise every conformer of every molecule by L-BFGS, in one batch but independently.

    One evaluation per step serves all: a conformer whose energy rose stays where it was and tries a shorter
    step while its neighbours go on. Conformers that have converged are dropped, but the energy is asked for
    all molecules as long as one is at work: give molecules of similar size together. A conformer that starts
    at a non-finite energy, or cannot go down any more, is returned as not converged where it stands.

    Parameters
    ----------
    energy_fn
        Asked for any number of conformers up to C, which change places as others drop out.
    positions
        (3, N, C) Å, or in four dimensions if the energy is.
    force_tolerance
        kcal/mol/Å, on the length of the largest force on any atom of the conformer.
    max_steps
        Energy evaluations after the first.
    max_displacement
        Å, the most an atom moves in a step; the whole step is shortened, its direction kept.
    history
        Pairs of steps and gradient changes that model the curvature.
    tether
        (N,) kcal/mol/Å², stiffness of a spring from each atom to where it began, infinite to hold it. What is
        returned is of the energy with these springs.

    References
    ----------
    Liu and Nocedal, Math. Program. 45, 503 (1989).
    """
    background = positions = positions.detach()
    shape, n_dimensions = (topology.n_molecules, positions.shape[-1]), len(positions)
    each = torch.arange(shape[0]).to(positions.device).repeat_interleave(shape[1])
    all_rows = rows = rows_of(topology, each, shape[1], n_dimensions)
    springs = None if tether is None else _stretch(rows, positions, tether)
    now = done = _begin(energy_fn, topology, rows, positions, force_tolerance, springs)
    origin = rows.place  # row in `done` of each row in `now`
    pairs: deque[_Pair] = deque(maxlen=history)
    check_every = 1 if positions.device.type == "cpu" else CHECK_EVERY
    for n in range(max_steps):
        if n % check_every == 0:
            n_active = int(now.active.sum())
            if n_active == 0:
                break
            if n_active <= WORTH_SHRINKING * len(origin):
                done = _merge(done, origin, now)
                at_work = now.active.flatten().nonzero().flatten()
                now, origin = _Descent(*(value[at_work] for value in now)), origin[at_work]
                pairs = deque((_Pair(*(value[at_work] for value in pair)) for pair in pairs), maxlen=history)
                springs = springs and _Springs(*(value[at_work] for value in springs))
                molecule = rows.molecule[at_work]
                most = int(torch.bincount(molecule).max())  # conformers of one molecule
                rows, background = rows_of(topology, molecule, most, n_dimensions), positions[..., :most]
        direction = _quasi_newton(pairs, now.scale, now.forces)
        longest = max_displacement / _largest(direction, n_dimensions)
        length = torch.minimum(now.fraction * longest.clamp(max=1), longest)
        trial = torch.addcmul(now.positions, direction, length)
        energy, forces = _pulled(springs, trial, *evaluate(energy_fn, rows, trial, background))
        now, pair = _judge(now, length * direction, energy, forces, _largest(forces, n_dimensions), force_tolerance)
        pairs.append(pair)

    done = _merge(done, origin, now)
    energy, max_force, steps = (value.view(shape) for value in (done.energy, done.max_force, done.steps))
    found = scatter(all_rows, done.positions, positions)
    return Minimum(found, energy, max_force, max_force <= force_tolerance, steps)


def _begin(
    energy_fn: EnergyFn,
    topology: Topology,
    rows: Rows,
    positions: Tensor,
    force_tolerance: float,
    springs: _Springs | None,
) -> _Descent:
    x = gather(rows, positions)
    energy, forces = _pulled(springs, x, *evaluate(energy_fn, rows, x, positions))
    max_force = _largest(forces, len(positions))
    sound = energy.isfinite() & max_force.isfinite()
    ones = torch.ones_like(energy)
    return _Descent(
        positions=x,
        forces=torch.where(sound, forces, 0.0),  # what is lost stays where it is
        energy=energy,
        max_force=max_force,
        fraction=ones,
        scale=FIRST_SCALE * ones,
        n_atoms=topology.atoms_per_molecule()[rows.molecule, None],
        steps=torch.zeros_like(energy, dtype=torch.int64),
        active=sound & (max_force > force_tolerance),
    )


def _stretch(rows: Rows, positions: Tensor, tether: Tensor) -> _Springs:
    stiffness = tether.to(positions)[:, None].expand_as(positions)
    return _Springs(gather(rows, positions), gather(rows, stiffness))


def _pulled(springs: _Springs | None, x: Tensor, energy: Tensor, forces: Tensor) -> tuple[Tensor, Tensor]:
    """Add the springs; an infinite one has no energy, and its atom feels no force."""
    if springs is None:
        return energy, forces
    held = springs.k.isinf()
    k, away = springs.k.masked_fill(held, 0.0), x - springs.anchor
    return energy + _dot(k * away, away) / 2, (forces - k * away).masked_fill(held, 0.0)


def _judge(
    now: _Descent, step: Tensor, energy: Tensor, forces: Tensor, max_force: Tensor, force_tolerance: float
) -> tuple[_Descent, _Pair]:
    """Keep the step where the energy fell enough, and learn the curvature from it."""
    promised = _dot(now.forces, step)  # kcal/mol, by the slope
    rounding = ROUNDING * torch.finfo(energy.dtype).eps * (now.energy.abs() + now.n_atoms)
    enough = energy <= now.energy - SUFFICIENT_DECREASE * promised + rounding
    accepted = now.active & enough & (energy > -torch.inf) & (max_force < torch.inf)  # nan and inf fail one of them
    rise = energy - now.energy + promised  # above the tangent, on which a parabola is laid
    shorter = (promised / (2 * rise)).clamp(0.1, 0.5).nan_to_num(nan=0.1)
    kept = accepted.to(step.dtype)  # a factor, which is several times faster than where
    step = step * kept
    change = (now.forces - forces).nan_to_num_() * kept
    curvature, squared_change = _dot(step, change), _dot(change, change)
    useful = curvature > 1e-8 * squared_change
    longer = torch.where(useful, 1.0, (2 * now.fraction).clamp(max=LONGEST_STEP))
    max_force = torch.where(accepted, max_force, now.max_force)
    after = _Descent(
        positions=now.positions + step,
        forces=now.forces - change,
        energy=torch.where(accepted, energy, now.energy),
        max_force=max_force,
        fraction=torch.where(accepted, longer, now.fraction * shorter),
        scale=torch.where(useful, curvature / squared_change, now.scale),
        n_atoms=now.n_atoms,
        steps=now.steps + now.active,
        active=now.active & (max_force > force_tolerance) & (now.fraction > SHORTEST_STEP),
    )
    return after, _Pair(step, change, torch.where(useful, 1 / curvature, 0.0))


def _quasi_newton(pairs: deque[_Pair], scale: Tensor, forces: Tensor) -> Tensor:
    """Multiply the forces by the inverse Hessian that the pairs describe: the two-loop recursion."""
    direction = forces.clone()
    weights = []
    for pair in reversed(pairs):
        weights.append(pair.weight * _dot(pair.step, direction))
        direction.addcmul_(pair.change, weights[-1], value=-1)
    direction.mul_(scale)
    for pair in pairs:
        direction.addcmul_(pair.step, weights.pop() - pair.weight * _dot(pair.change, direction))
    return direction


def _merge(done: _Descent, origin: Tensor, now: _Descent) -> _Descent:
    return _Descent(*(before.index_copy(0, origin, after) for before, after in zip(done, now, strict=True)))


def _dot(a: Tensor, b: Tensor) -> Tensor:
    return (a * b).sum(1, keepdim=True)  # (R, 1)


def _largest(vectors: Tensor, n_dimensions: int) -> Tensor:
    """Length of the longest atomic vector of each row, (R, 1)."""
    return vectors.view(len(vectors), n_dimensions, -1).square().sum(1).amax(1, keepdim=True).sqrt()
