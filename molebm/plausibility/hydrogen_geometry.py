"""Hydrogens by themselves: where they were put says more of the program that put them than of the structure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import softshrink

from molebm.forcefield import geometry
from molebm.plausibility.environments import HYDROGEN, AtomTypes, key
from molebm.plausibility.observations import HYDROGEN_LENGTH, HYDROGEN_PLACE, Observations
from molebm.samplers.bond_graph import SINGLE
from molebm.topology import Topology

CONVENTIONS: Final = (-0.15, 0.06)  # Å, by which all bonds to hydrogen of a source may differ from the energy's
TOLERANCE: Final = 0.05  # Å, by which these conventions differ between elements
POLAR: Final = (7, 8, 16)  # elements whose hydrogens turn about a single bond as hydrogen bonds have it
EQUAL: Final = 0.01  # Å, by which lengths may differ where one was meant for all bonds to hydrogen
EQUAL_LENGTHS: Final = (0.95, 1.1)  # Å, between which such a length is a convention


def bonds_to_hydrogens(topology: Topology) -> tuple[Tensor, Tensor, Tensor]:
    """Tell which bonds join a hydrogen to a heavier atom, and name the heavier atoms and the hydrogens, (B,)."""
    hydrogen = topology.atomic_numbers == HYDROGEN
    chosen = hydrogen[topology.bonds].sum(0) == 1
    a, b = topology.bonds[:, chosen]
    return chosen, torch.where(hydrogen[a], b, a), torch.where(hydrogen[a], a, b)


class HydrogenBonds:
    """The bonds to hydrogens of a batch, from the heavier atom to the hydrogen."""

    def __init__(self, topology: Topology, bond_length: Tensor) -> None:
        chosen, self.bearer, self.hydrogen = bonds_to_hydrogens(topology)
        self.length = bond_length[chosen].double()  # (B,) Å

    def normalised(self, positions: Tensor) -> Tensor:
        """Move each hydrogen along its bond to the length that the energy has, (3, N, C) Å."""
        bearer = positions[:, self.bearer]
        arm = positions[:, self.hydrogen] - bearer
        moved = positions.clone()
        moved[:, self.hydrogen] = bearer + arm * (self.length[:, None] / geometry.norm(arm).clamp(min=1e-3))
        return moved


def hydrogen_geometry(
    topology: Topology, types: AtomTypes, bonds: HydrogenBonds, given: Tensor, placed: Tensor, added: Tensor
) -> Iterator[Observations]:
    """Compare the hydrogens given, (3, N, C) Å, with where they relax to; those that were `added` (N,) are left out.

    Lengths are held against those of the other hydrogens of the molecule, which may all be shorter than the energy has
    them, or all be the same, and places against the relaxed ones with all lengths as the energy has them. Where a
    polar group can be turned, as in OH, that does not count.
    """
    known = ~added[bonds.hydrogen]
    atoms = torch.stack([bonds.bearer[known], bonds.hydrogen[known]])
    molecule = topology.molecule[atoms[0]]
    length = geometry.distance(given, *atoms)
    expected = _expected(length, bonds.length[known, None], molecule, topology.n_molecules)
    bearer = types.coarse[atoms[0]]
    keys = torch.stack([key(40, types.element[atoms[0]]), key(41, bearer)])
    off = softshrink(length - expected, TOLERANCE)
    yield Observations(HYDROGEN_LENGTH, atoms, molecule, keys, length, expected, off)
    away = _away(topology, atoms, bonds.normalised(given), placed)
    keys = torch.stack([key(42, bearer), key(43, types.fine[atoms[0]])])
    yield Observations(HYDROGEN_PLACE, atoms, molecule, keys, away, torch.zeros_like(away), away)


def _expected(length: Tensor, of_energy: Tensor, molecule: Tensor, n_molecules: int) -> Tensor:
    """Lengths (B, C) by the convention of each molecule and pose, read off the lengths that it has."""
    shift = _medians(length - of_energy, molecule, n_molecules).clamp(*CONVENTIONS)[molecule]
    middle = _medians(length, molecule, n_molecules)
    index = molecule[:, None].expand_as(length)
    apart = torch.zeros_like(middle).scatter_reduce(0, index, (length - middle[molecule]).abs(), "amax")
    shortest, longest = EQUAL_LENGTHS
    equal = (apart <= EQUAL) & (middle >= shortest) & (middle <= longest)
    return torch.where(equal[molecule], middle[molecule], of_energy + shift)


def _away(topology: Topology, atoms: Tensor, given: Tensor, relaxed: Tensor) -> Tensor:
    """Distance in Å between where hydrogens are and where they relax to, (T, C)."""
    bearer, hydrogen = atoms
    heavy = topology.atomic_numbers != HYDROGEN
    count, neighbour = _heavy_neighbours(topology, heavy)
    stiff = topology.bonds[:, topology.bond_features[0] != SINGLE].flatten()
    turns = (count == 1) & torch.isin(topology.atomic_numbers, torch.tensor(POLAR, device=heavy.device))
    turns[stiff] = False
    root = torch.where(turns, neighbour, torch.arange(topology.n_atoms, device=heavy.device))[bearer]

    def cylindrical(x: Tensor) -> tuple[Tensor, Tensor]:
        axis = x[:, bearer] - x[:, root]
        axis = axis / geometry.norm(axis).clamp(min=1e-6)
        arm = x[:, hydrogen] - x[:, bearer]
        height = (axis * arm).sum(0)
        return height, geometry.norm(arm - height * axis)

    (height, radius), (other_height, other_radius) = cylindrical(given), cylindrical(relaxed)
    turned = ((height - other_height) ** 2 + (radius - other_radius) ** 2).sqrt()
    straight = geometry.norm(given[:, hydrogen] - relaxed[:, hydrogen])
    return torch.where(turns[bearer][:, None], turned, straight)


def _heavy_neighbours(topology: Topology, heavy: Tensor) -> tuple[Tensor, Tensor]:
    """Count the heavier neighbours of each atom, and name one of them, (N,) int64."""
    i, j = topology.bonds
    count = torch.zeros_like(topology.atomic_numbers)
    count = count.index_add(0, i, heavy[j].long()).index_add(0, j, heavy[i].long())
    last = torch.zeros_like(count)
    last[i[heavy[j]]] = j[heavy[j]]
    last[j[heavy[i]]] = i[heavy[i]]
    return count, last


def _medians(values: Tensor, molecule: Tensor, n_molecules: int) -> Tensor:
    """Median over the terms of each molecule, (G, C); 0 where there are none."""
    result = values.new_zeros((n_molecules, values.shape[1]))
    counts = torch.bincount(molecule, minlength=n_molecules)
    order = molecule.argsort(stable=True)
    for index, part in enumerate(values[order].split(counts.tolist())):
        if len(part):
            result[index] = part.median(0).values
    return result
