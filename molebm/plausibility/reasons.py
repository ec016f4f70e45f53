"""What is wrong with a structure and where, in words, by the energy it would lose when relaxed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Tensor

from molebm.forcefield import geometry
from molebm.forcefield.kernel import TermEnergies
from molebm.plausibility.excess import terms_of_molecule
from molebm.topology import Topology

WORTH_TELLING: Final = 2.0  # kcal/mol; a thermal structure has few such features
MOST_REASONS: Final = 5
HYDROGEN: Final = 1


@dataclass(frozen=True, slots=True)
class Feature:
    """One kind of local geometry, as it is and as it is relaxed."""

    words: str  # a format of the labels of its atoms and the two values
    atoms: Tensor  # (K, T) int64
    excess: Tensor  # (T, C) kcal/mol
    given: Tensor  # (T, C) Å or degrees
    relaxed: Tensor  # (T, C)
    of_molecule: list[slice]  # its columns, by molecule


def features(topology: Topology, excess: TermEnergies, positions: Tensor, relaxed: Tensor) -> list[Feature]:
    """List what a chemist would look at: bonds, angles, torsions, flat centres and contacts.

    The coupling of stretch and bend counts with its angle, and the torsions about a bond count together, told
    by the one that joins heavy atoms. Contacts are van der Waals terms alone: electrostatics reach too far to
    be a contact.
    """
    about, of_bond = topology.torsion_bonds[1].unique_consecutive(return_inverse=True)
    torsions = topology.torsions[:, _one_of_each(topology, of_bond, len(about))]
    summed = excess.torsion.new_zeros((len(about), excess.torsion.shape[1])).index_add(0, of_bond, excess.torsion)
    both = (positions, relaxed)

    def feature(words: str, atoms: Tensor, energy: Tensor, values: Sequence[Tensor]) -> Feature:
        return Feature(words, atoms, energy, values[0], values[1], terms_of_molecule(topology, atoms))

    return [
        feature(
            "bond {0}-{1} {given:.2f} Å, expected {relaxed:.2f} Å (+{excess:.1f} kcal/mol)",
            topology.bonds,
            excess.bond,
            [geometry.distance(x, *topology.bonds) for x in both],
        ),
        feature(
            "angle {0}-{1}-{2} {given:.0f}°, expected {relaxed:.0f}° (+{excess:.1f} kcal/mol)",
            topology.angles,
            excess.angle + excess.stretch_bend,
            [_degrees(geometry.angle_from_cos(geometry.cos_angle(x, topology.angles))) for x in both],
        ),
        feature(
            "torsion {0}-{1}-{2}-{3} {given:.0f}°, expected {relaxed:.0f}° (+{excess:.1f} kcal/mol)",
            torsions,
            summed,
            [_degrees(geometry.torsion_angle(x, torsions)) for x in both],
        ),
        feature(
            "{1} {given:.0f}° out of the plane of {0}, {2} and {3}, expected {relaxed:.0f}° (+{excess:.1f} kcal/mol)",
            topology.impropers,
            excess.out_of_plane,
            [_degrees(_largest_wilson(x, topology.impropers)) for x in both],
        ),
        feature(
            "contact {0}...{1} {given:.1f} Å, +{excess:.1f} kcal/mol",
            topology.pairs,
            excess.van_der_waals,
            [geometry.distance(x, *topology.pairs) for x in both],
        ),
    ]


def worst_features(kinds: Sequence[Feature], molecule: int, conformer: int, labels: Sequence[str]) -> list[str]:
    """Word the features of one conformer that cost most, worst first; `labels` are of all atoms of the topology."""
    found: list[tuple[float, str]] = []
    for kind in kinds:
        columns = kind.of_molecule[molecule]
        energies = kind.excess[columns, conformer]
        for place in energies.topk(min(MOST_REASONS, len(energies))).indices.tolist():
            energy, at = float(energies[place]), columns.start + place
            if energy >= WORTH_TELLING:
                names = [labels[atom] for atom in kind.atoms[:, at].tolist()]
                given, relaxed = float(kind.given[at, conformer]), float(kind.relaxed[at, conformer])
                found.append((energy, kind.words.format(*names, given=given, relaxed=relaxed, excess=energy)))
    found.sort(key=lambda item: -item[0])
    return [words for _, words in found[:MOST_REASONS]]


def worst_kinds(by_kind: TermEnergies, molecule: int, conformer: int, *, at_least: float = WORTH_TELLING) -> str:
    """Say which kinds of term, each summed over the molecule (G, C), make up the excess."""
    shares = {name: float(energy[molecule, conformer]) for name, energy in by_kind._asdict().items()}
    told = sorted((item for item in shares.items() if item[1] >= at_least), key=lambda item: -item[1])
    return ", ".join(f"{name.replace('_', ' ')} +{energy:.1f}" for name, energy in told)


def _one_of_each(topology: Topology, of_bond: Tensor, n_bonds: int) -> Tensor:
    """Choose for each bond with torsions the first that has the fewest hydrogens at its ends."""
    n_torsions = topology.torsions.shape[1]
    hydrogens = (topology.atomic_numbers[topology.torsions[::3]] == HYDROGEN).sum(0)
    order = hydrogens * n_torsions + torch.arange(n_torsions, device=topology.device)
    first = torch.full((n_bonds,), 3 * n_torsions, device=topology.device)
    return first.scatter_reduce(0, of_bond, order, "amin") % max(1, n_torsions)


def _largest_wilson(positions: Tensor, impropers: Tensor) -> Tensor:
    return torch.stack(geometry.sin_wilson(positions, impropers)).clamp(-1, 1).asin().abs().amax(0)


def _degrees(angle: Tensor) -> Tensor:
    return angle * (180 / math.pi)
