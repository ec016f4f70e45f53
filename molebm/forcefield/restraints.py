"""What coordinates can start from: distances and signed volumes within bounds, in four dimensions."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.flat_bonds import FlatBonds
from molebm.forcefield.geometry import distance, triple_product
from molebm.forcefield.parameters import Parameters
from molebm.forcefield.rest import lookup
from molebm.topology import Topology

BOND_K: Final = 100.0  # kcal/mol/Å², of bonds
ANGLE_K: Final = 50.0  # of atoms two bonds apart
DOUBLE_BOND_K: Final = 50.0  # across a declared double bond
CONTACT_K: Final = 10.0  # of atoms that come too near
VOLUME_K: Final = 10.0  # kcal/mol/Å⁶
CONTACT: Final = 0.7  # of the distance of the van der Waals minimum, for atoms four or more bonds apart
CONTACT_14: Final = 0.6  # three bonds apart
HANDED: Final = 0.3  # of the product of three bond lengths; 0.77 at a tetrahedral centre, 0.5 in a three-membered ring
FLAT: Final = 0.1  # of the same
STRAIGHT_SUM: Final = 6.2  # rad, of the angles at a centre that is flat
TOLERANCE: Final = 0.05  # Å, of the distance across a declared double bond


class Restraints(NamedTuple):
    """Bounds on distances and on the signed volumes that three neighbours span with a centre."""

    distances: Tensor  # (2, D) int64
    distance_lower: Tensor  # (D,) Å
    distance_upper: Tensor  # (D,) Å
    distance_k: Tensor  # (D,) kcal/mol/Å²
    volumes: Tensor  # (4, V) int64, the centre and three neighbours
    volume_lower: Tensor  # (V,) Å³
    volume_upper: Tensor  # (V,) Å³
    volume_k: Tensor  # (V,) kcal/mol/Å⁶


def restraints_of(topology: Topology, parameters: Parameters, *, flat_bonds: FlatBonds | None = None) -> Restraints:
    """Read off an energy's parameters what any conformer must meet: lengths, angles, contacts, planes and stereo.

    With `flat_bonds` also what most conformers meet: amides and their like are as these prefer.

    References
    ----------
    Crippen and Havel, Distance Geometry and Molecular Conformation, Research Studies Press (1988).
    """
    across = _across_angles(topology, parameters)
    over, reach = _across_double_bonds(topology, parameters)
    contact = parameters.pair_radius * torch.where(topology.pairs_14, CONTACT_14, CONTACT)
    if flat_bonds is not None:
        over = torch.cat([over, flat_bonds.ends], dim=1)
        reach = torch.cat([reach, flat_bonds.distance])
    distances = torch.cat([topology.bonds, topology.angles[::2], over, topology.pairs], dim=1)
    lower = torch.cat([parameters.bond_length, across, reach - TOLERANCE, contact])
    upper = torch.cat([parameters.bond_length, across, reach + TOLERANCE, torch.full_like(contact, torch.inf)])
    stiffness = torch.cat(
        [
            torch.full_like(values, k)
            for values, k in zip(
                (parameters.bond_length, across, reach, contact),
                (BOND_K, ANGLE_K, DOUBLE_BOND_K, CONTACT_K),
                strict=True,
            )
        ]
    )
    volumes, volume_lower, volume_upper = _volumes(topology, parameters)
    order = _by_molecule(topology, distances[0])
    order_v = _by_molecule(topology, volumes[0])
    return Restraints(
        distances[:, order],
        lower[order],
        upper[order],
        stiffness[order],
        volumes[:, order_v],
        volume_lower[order_v],
        volume_upper[order_v],
        torch.full_like(volume_lower, VOLUME_K),
    )


def restraint_energy(restraints: Restraints, topology: Topology, positions: Tensor, fourth_k: float) -> Tensor:
    """Evaluate positions (4, N, C) Å, giving (G, C) kcal/mol; `fourth_k` draws the fourth dimension to zero.

    Signed volumes are those of the first three dimensions.
    """
    r = restraints
    separation = distance(positions, *r.distances)
    excess = separation - separation.clamp(r.distance_lower[:, None], r.distance_upper[:, None])
    volume = triple_product(positions[:3], r.volumes)
    off = volume - volume.clamp(r.volume_lower[:, None], r.volume_upper[:, None])
    total = topology.sum_atoms(fourth_k * positions[3] ** 2)
    total = total.index_add(0, topology.molecule[r.distances[0]], r.distance_k[:, None] * excess**2)
    return total.index_add(0, topology.molecule[r.volumes[0]], r.volume_k[:, None] * off**2)


def _across_angles(topology: Topology, parameters: Parameters) -> Tensor:
    """Distance between the ends of each angle at rest, (A,) Å."""
    a, b = parameters.bond_length[topology.angle_bonds]
    theta = torch.where(parameters.angle_linear, torch.pi, parameters.angle_theta)
    return (a**2 + b**2 - 2 * a * b * theta.cos()).sqrt()


def _across_double_bonds(topology: Topology, parameters: Parameters) -> tuple[Tensor, Tensor]:
    """The ends of each declared double bond, (2, D), and how far apart they are in a plane, (D,) Å."""
    rest = lookup(topology, parameters)
    quadruples = zip(topology.stereo_bonds.T.tolist(), topology.stereo_cis.tolist(), strict=True)
    reach = [rest.across(*atoms, cis=cis) for atoms, cis in quadruples]
    return topology.stereo_bonds[[0, 3]], parameters.bond_length.new_tensor(reach)


def _volumes(topology: Topology, parameters: Parameters) -> tuple[Tensor, Tensor, Tensor]:
    """Centres that are handed or flat, (4, V), and the bounds of their volumes, (V,) Å³."""
    length, theta = lookup(topology, parameters)

    def product(columns: Tensor) -> Tensor:
        values = [
            length[frozenset((c, a))] * length[frozenset((c, b))] * length[frozenset((c, d))]
            for c, a, b, d in columns.T.tolist()
        ]
        return parameters.bond_length.new_tensor(values)

    centre, others = topology.impropers[1], topology.impropers[[0, 2, 3]]
    sums = [
        sum(theta.get((c, frozenset(pair)), 0.0) for pair in ((a, b), (b, d), (a, d)))
        for c, a, b, d in torch.cat([centre[None], others]).T.tolist()
    ]
    flat = torch.cat([centre[None], others])[:, torch.tensor(sums) > STRAIGHT_SUM]
    handed, size = product(topology.stereo_centres), product(flat)
    infinite = torch.full_like(handed, torch.inf)
    left = topology.stereo_signs < 0
    lower = torch.cat([torch.where(left, -infinite, HANDED * handed), -FLAT * size])
    upper = torch.cat([torch.where(left, -HANDED * handed, infinite), FLAT * size])
    return torch.cat([topology.stereo_centres, flat], dim=1), lower, upper


def _by_molecule(topology: Topology, first: Tensor) -> Tensor:
    return topology.molecule[first].argsort(stable=True)
