"""Whether conformers are still the molecule that was asked for."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.geometry import cos_torsion, distance, triple_product
from molebm.topology import Topology

LONGEST_BOND: Final = 1.4  # times its length at the start; a bond beyond is broken
CLOSEST_PAIR: Final = 1.0  # Å between atoms three or more bonds apart; nearer ones have made a bond


class Validity(NamedTuple):
    """What holds of each conformer of each molecule, (G, C) bool."""

    connected: Tensor  # finite, every bond whole, no new one
    stereo: Tensor  # every declared centre and double bond as declared

    @property
    def both(self) -> Tensor:
        return self.connected & self.stereo


def check_conformers(topology: Topology, starts: Tensor, positions: Tensor, energy: Tensor) -> Validity:
    """Hold conformers (3, N, C) Å against the declared chemistry and the bond lengths of their starts."""
    stretched = ~(distance(positions, *topology.bonds) < LONGEST_BOND * distance(starts, *topology.bonds))
    touching = ~(distance(positions, *topology.pairs) > CLOSEST_PAIR)
    inverted = triple_product(positions, topology.stereo_centres).sign() != topology.stereo_signs[:, None]
    flipped = (cos_torsion(positions, topology.stereo_bonds) > 0) != topology.stereo_cis[:, None]
    return Validity(
        energy.isfinite() & _none(topology, topology.bonds, stretched) & _none(topology, topology.pairs, touching),
        _none(topology, topology.stereo_centres, inverted) & _none(topology, topology.stereo_bonds, flipped),
    )


def _none(topology: Topology, atoms: Tensor, violated: Tensor) -> Tensor:
    """Whether no term of each molecule is violated, (G, C), from (T, C) bool."""
    count = violated.new_zeros((topology.n_molecules, violated.shape[1]), dtype=torch.int64)
    return count.index_add(0, topology.molecule[atoms[0]], violated.long()) == 0
