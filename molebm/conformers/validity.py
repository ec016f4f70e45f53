"""Whether conformers are still the molecule that was asked for."""

from __future__ import annotations

from typing import Final

from torch import Tensor

from molebm.forcefield.geometry import cos_torsion, distance, triple_product
from molebm.topology import Topology

LONGEST_BOND: Final = 1.25  # times its length at rest; a bond beyond is broken, or threaded by another
CLOSEST_PAIR: Final = 1.0  # Å between atoms three or more bonds apart; nearer ones have made a bond


def is_connected(topology: Topology, bond_length: Tensor, positions: Tensor, energy: Tensor) -> Tensor:
    """Tell which conformers (3, N, C) Å are finite, have every bond whole and no new one, (G, C) bool.

    `bond_length` (B,) Å is that at rest.
    """
    touching = ~(distance(positions, *topology.pairs) > CLOSEST_PAIR)
    whole = bonds_are_whole(topology, bond_length, positions)
    return energy.isfinite() & whole & _none(topology, topology.pairs, touching)


def bonds_are_whole(topology: Topology, bond_length: Tensor, positions: Tensor) -> Tensor:
    """Tell which conformers have no bond much longer than at rest, (G, C) bool."""
    broken = ~(distance(positions, *topology.bonds) < LONGEST_BOND * bond_length[:, None])
    return _none(topology, topology.bonds, broken)


def follows_stereo(topology: Topology, positions: Tensor) -> Tensor:
    """Tell which conformers have every declared centre and double bond as declared, (G, C) bool."""
    inverted = triple_product(positions, topology.stereo_centres).sign() != topology.stereo_signs[:, None]
    flipped = (cos_torsion(positions, topology.stereo_bonds) > 0) != topology.stereo_cis[:, None]
    return _none(topology, topology.stereo_centres, inverted) & _none(topology, topology.stereo_bonds, flipped)


def _none(topology: Topology, atoms: Tensor, violated: Tensor) -> Tensor:
    """Whether no term of each molecule is violated, (G, C), from (T, C) bool."""
    count = violated.new_zeros((topology.n_molecules, violated.shape[1]), dtype=violated.int().dtype)
    return count.index_add(0, topology.molecule[atoms[0]], violated.int()) == 0
