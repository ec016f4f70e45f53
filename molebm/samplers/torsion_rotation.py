"""Turn one side of a molecule about a bond: the move that barriers of torsions cannot stop."""

from __future__ import annotations

import math

import torch
from torch import Generator, Tensor

from molebm.forcefield.energy import EnergyFn
from molebm.forcefield.geometry import cross, norm
from molebm.samplers.bond_graph import atoms_within_molecules
from molebm.samplers.metropolis import MoveInfo, Proposal, choose, metropolis
from molebm.samplers.rotors import Rotors, find_rotors
from molebm.samplers.sampler import Sampler, State
from molebm.topology import Topology

THIRD_OF_A_TURN = 2 * math.pi / 3


def torsion_rotation(energy_fn: EnergyFn, topology: Topology, *, spread: float = 0.25) -> Sampler[State, MoveInfo]:
    r"""Turn about one random bond by one random angle, another for each conformer, with a Metropolis test.

    The angle is, with equal chances, small, near a third of a turn to either side, or anything. Exact:
    :math:`e^{-E/kT}` is left invariant, since the bond is chosen whatever the positions, an angle and its
    opposite are equally likely, and a rotation keeps volumes: about an axis through two atoms that stay, it
    is an isometry of the atoms that turn. Bond lengths, bond angles and chirality stay as they are, so by itself it
    samples the torsions of a rigid molecule; to sample a flexible one join it with dynamics by `cycle`.

    A molecule without a bond to turn about (see `find_rotors`) stays where it is.

    Parameters
    ----------
    spread
        rad, standard deviation of the small angles and about a third of a turn.

    References
    ----------
    Li and Scheraga, Proc. Natl. Acad. Sci. 84, 6611 (1987), where a minimisation follows the move.
    """
    rotors = find_rotors(topology)
    within = atoms_within_molecules(topology)

    def propose(positions: Tensor, generator: Generator) -> Proposal:
        chosen = choose(rotors.molecule, topology, positions, generator)
        angles = _symmetric_angles(positions.new_empty(chosen.shape), spread, generator)
        return Proposal(rotate(positions, topology, rotors, chosen, angles, within=within), chosen)

    return metropolis(energy_fn, topology, propose)


def rotate(
    positions: Tensor, topology: Topology, rotors: Rotors, chosen: Tensor, angles: Tensor, *, within: Tensor
) -> Tensor:
    """Turn the smaller side of the `chosen` rotor (G, C) of each conformer by `angles` (G, C) rad, to (3, N, C) Å.

    Parameters
    ----------
    within
        (N,) int64, of `atoms_within_molecules`.
    """
    column = torch.arange(positions.shape[-1], device=positions.device)
    root, origin = positions[:, rotors.axis[0][chosen], column], positions[:, rotors.axis[1][chosen], column]
    axis = (origin - root) / norm(origin - root)  # (3, G, C)

    u, origin = axis[:, topology.molecule], origin[:, topology.molecule]  # (3, N, C)
    cos, sin = angles.cos()[topology.molecule], angles.sin()[topology.molecule]  # (N, C)
    arm = positions - origin
    along = (u * arm).sum(0)
    turned = origin + cos * arm + sin * cross(u, arm) + (1 - cos) * along * u  # Rodrigues
    return torch.where(rotors.turning[chosen[topology.molecule], within[:, None]], turned, positions)


def _symmetric_angles(like: Tensor, spread: float, generator: Generator) -> Tensor:
    """Draw angles whose distribution is even, rad."""
    kind = torch.empty_like(like).uniform_(generator=generator) * 3
    anything = torch.empty_like(like).uniform_(-math.pi, math.pi, generator=generator)
    small = torch.empty_like(like).normal_(std=spread, generator=generator)
    third = small + THIRD_OF_A_TURN * anything.sign()
    return torch.where(kind < 1, small, torch.where(kind < 2, third, anything))
