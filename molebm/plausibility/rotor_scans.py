"""Bonds that can be turned about: what the energy would fall by if one were turned, a little or all the way."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor

from molebm.forcefield import geometry
from molebm.forcefield.geometry import norm
from molebm.plausibility.environments import HYDROGEN, AtomTypes, key, unordered
from molebm.plausibility.observations import ROTAMER, ROTOR, Observations
from molebm.samplers.bond_graph import atoms_within_molecules
from molebm.samplers.engines import Engine
from molebm.samplers.rotors import Rotors, find_rotors
from molebm.topology import Topology

AT_ONCE: Final = 8  # rotors of each molecule whose turned copies are in memory together
NEAR_TURNS: Final = tuple(float(turn) for turn in range(-60, 61, 10) if turn)  # degrees, up to the next rotamer
FAR_TURNS: Final = (-150.0, -120.0, -90.0, 90.0, 120.0, 150.0, 180.0)  # degrees, to all others


def rotor_scans(topology: Topology, types: AtomTypes, engine: Engine, positions: Tensor) -> Iterator[Observations]:
    """Turn the smaller side of each acyclic single bond as a whole, one bond at a time.

    The deviation of a rotor is how much lower the energy is at the best of `NEAR_TURNS`, and that of its rotamer at
    the best of all turns. Sides of hydrogens alone are left out. Positions are (3, N, C) Å.
    """
    rotors = _heavy(topology, find_rotors(topology))
    torsions = _one_torsion_each(topology, rotors)
    lower = torch.stack([_lower(topology, rotors, engine, x[..., None]) for x in positions.unbind(2)], dim=2)
    j, k = torsions[1:3]
    angle = 180 / math.pi * geometry.torsion_angle(positions, torsions)
    ends, fine_ends = (unordered(type_[j], type_[k]) for type_ in (types.coarse, types.fine))
    for kind, number, fall in zip((ROTOR, ROTAMER), (20, 22), lower.to(positions), strict=True):
        keys = torch.stack([key(number, *ends), key(number + 1, *fine_ends)])
        yield Observations(kind, torsions, rotors.molecule, keys, angle, angle, fall)


def _lower(topology: Topology, rotors: Rotors, engine: Engine, x: Tensor) -> Tensor:
    """How much lower each rotor can be nearby and anywhere, (2, R) kcal/mol, from one pose (3, N, 1) Å.

    Rotors of different molecules are turned at once, each molecule turning its first ones, then the next and so on.
    """
    n_rotors = len(rotors.molecule)
    counts = torch.bincount(rotors.molecule, minlength=topology.n_molecules)
    most = int(counts.max()) if n_rotors else 0
    if most == 0:
        return x.new_zeros((2, 0))
    starts = counts.cumsum(0) - counts
    nth = torch.arange(n_rotors, device=x.device) - starts[rotors.molecule]
    row = torch.full((topology.n_molecules, most), n_rotors, device=x.device)  # the last turns nothing
    row[rotors.molecule, nth] = torch.arange(n_rotors, device=x.device)
    lowest = torch.cat([_lowest(topology, rotors, engine, x, few) for few in row.split(AT_ONCE, dim=1)], dim=2)
    fall = (engine.energy(x) - lowest).clamp(min=0)
    return fall[:, rotors.molecule, nth].nan_to_num(posinf=1e6)


def _lowest(topology: Topology, rotors: Rotors, engine: Engine, x: Tensor, row: Tensor) -> Tensor:
    """Turn the rotors `row` (G, M), one of each molecule at a time; the lowest energies nearby and
    anywhere, (2, G, M) kcal/mol.
    """
    of_atom = row[topology.molecule]  # (N, M)
    within = atoms_within_molecules(topology)
    turning = rotors.turning[of_atom, within[:, None]][None, :, :, None]  # (1, N, M, 1)
    stays, carries = x[:, rotors.axis[0], 0], x[:, rotors.axis[1], 0]  # (3, R + 1)
    direction = carries - stays
    u = (direction / norm(direction).clamp(min=1e-6))[:, of_atom][..., None]  # (3, N, M, 1)
    arm = (x - carries[:, of_atom])[..., None]
    turns = torch.tensor(NEAR_TURNS + FAR_TURNS, device=x.device, dtype=x.dtype) * (math.pi / 180)
    along = (u * arm).sum(0, keepdim=True) * u
    turned = along + turns.cos() * (arm - along) + turns.sin() * torch.linalg.cross(u.expand_as(arm), arm, dim=0)
    moved = torch.where(turning, turned + carries[:, of_atom][..., None], x[..., None])
    energy = engine.energy(moved.flatten(2).contiguous()).view(*row.shape, len(turns)).nan_to_num(nan=math.inf)
    return torch.stack([energy[..., : len(NEAR_TURNS)].amin(2), energy.amin(2)])


def _heavy(topology: Topology, rotors: Rotors) -> Rotors:
    """Leave out those that turn hydrogens alone."""
    heavy = topology.atomic_numbers != HYDROGEN
    within = atoms_within_molecules(topology)
    table = torch.zeros((topology.n_molecules, rotors.turning.shape[1]), dtype=torch.bool, device=heavy.device)
    table[topology.molecule, within] = heavy
    kept = (rotors.turning[:-1] & table[rotors.molecule]).any(1)
    last = torch.ones(1, dtype=torch.bool, device=heavy.device)
    rows = torch.cat([kept, last])
    return Rotors(rotors.molecule[kept], rotors.axis[:, rows], rotors.turning[rows])


def _one_torsion_each(topology: Topology, rotors: Rotors) -> Tensor:
    """Name each rotor by one torsion about it, of heavier atoms if there is one, (4, R)."""
    best: dict[tuple[int, int], tuple[int, ...]] = {}
    n = topology.n_atoms
    i, j, k, m = topology.torsions
    about = torch.cat([rotors.axis[0] * n + rotors.axis[1], rotors.axis[1] * n + rotors.axis[0]])
    chosen = torch.isin(j * n + k, about)
    heavy = (topology.atomic_numbers != HYDROGEN).long()
    worth = (heavy[i] + heavy[m])[chosen].tolist()
    for _, torsion in sorted(
        zip(worth, map(tuple, topology.torsions[:, chosen].T.tolist()), strict=True),
        key=lambda item: (item[0], -item[1][0], -item[1][3]),
    ):
        best[torsion[1], torsion[2]] = torsion
        best[torsion[2], torsion[1]] = torsion[::-1]
    rows = [best.get((i, j), (i, i, j, j)) for i, j in rotors.axis[:, :-1].T.tolist()]
    return torch.tensor(rows, dtype=torch.int64, device=topology.device).reshape(-1, 4).T
