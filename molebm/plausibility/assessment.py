"""A batch of structures held against themselves, relaxed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.kernel import TermEnergies, per_molecule
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.plausibility.annealing import lowest_nearby
from molebm.plausibility.batches import Batch
from molebm.plausibility.excess import excess_per_atom, excess_terms
from molebm.plausibility.reasons import features, worst_features, worst_kinds
from molebm.plausibility.relaxation import relax, relax_atoms, strain_score

UNRELAXED: Final = 10.0  # kcal/mol/Å; a relaxation that ends with more is worth telling
ELECTROSTATICS_WORTH_TELLING: Final = 10.0  # kcal/mol, of the whole molecule


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the energy says of one structure."""

    energy: float  # kcal/mol
    score: float  # energy above the relaxed structure over 3/2 N kT
    worst: list[str]  # what costs most, in words, worst first
    kinds: str  # the excess by kind of term, in words
    notes: list[str]  # what else to know of this score
    elements: list[str]  # (N,)
    atom_excess: list[float]  # (N,) kcal/mol, summing to the energy above the relaxed structure


class _Comparison(NamedTuple):
    """Structures, hydrogens placed, and the minima below them; on the CPU and in float64."""

    given: Tensor  # (3, N, C) Å
    relaxed: Tensor  # (3, N, C) Å
    max_force: Tensor  # (G, C) kcal/mol/Å, left at the minimum
    energy: Tensor  # (G, C) kcal/mol, of what is given
    excess: TermEnergies  # (terms, C) kcal/mol above the minimum


@torch.no_grad()
def assess(
    batch: Batch, temperature: float, *, n_anneals: int = 0, generator: Generator | None = None
) -> Iterator[tuple[int, Assessment]]:
    """Score every structure of a batch, each with the place it came in.

    The reference is the structure relaxed or, with a generator, the lowest of `n_anneals` from there.
    Minima are searched for in single precision; their energies and terms are then evaluated in double.
    """
    topology = batch.topology.to("cpu")
    found = _compare(batch, n_anneals, generator)
    by_kind = per_molecule(topology, found.excess)  # (G, C)
    scores = strain_score(torch.stack(by_kind).sum(0), topology, temperature)
    scores = torch.where(found.max_force.isfinite(), scores, torch.inf)
    per_atom = excess_per_atom(topology, found.excess)  # (N, C)
    kinds = features(topology, found.excess, found.given, found.relaxed)

    sizes = topology.atoms_per_molecule().tolist()
    elements = [[a.GetSymbol() for a in poses.structures[0].mol.GetAtoms()] for poses in batch.molecules]
    labels = [f"{symbol}{index}" for symbols in elements for index, symbol in enumerate(symbols)]
    for g, (poses, atoms) in enumerate(zip(batch.molecules, per_atom.split(sizes), strict=True)):
        for c, (place, structure) in enumerate(zip(poses.places, poses.structures, strict=True)):
            yield (
                place,
                Assessment(
                    energy=float(found.energy[g, c]),
                    score=float(scores[g, c]),
                    worst=worst_features(kinds, g, c, labels),
                    kinds=worst_kinds(by_kind, g, c),
                    notes=_notes(structure.n_added, float(found.max_force[g, c]), float(by_kind.electrostatic[g, c])),
                    elements=elements[g],
                    atom_excess=atoms[:, c].tolist(),
                ),
            )


def _compare(batch: Batch, n_anneals: int, generator: Generator | None) -> _Comparison:
    topology, parameters, given = batch.topology, batch.parameters, batch.positions
    energy_fn = MechanicalEnergy(topology, parameters)
    if bool(batch.added.any()):
        placed = relax_atoms(energy_fn, topology, given.float(), batch.added)
        given = torch.where(batch.added[:, None], placed.double(), given)
    minimum = relax(energy_fn, topology, given.float())
    lowest = minimum.positions
    if n_anneals and generator is not None:
        lowest = lowest_nearby(energy_fn, topology, minimum, n_anneals, generator)
    relaxed = lowest.double()
    exact = parameters.to(dtype=torch.float64)
    excess = excess_terms(topology, exact, given, relaxed)
    energy = MechanicalEnergy(topology, exact)(given)
    return _Comparison(
        given.cpu(),
        relaxed.cpu(),
        torch.where(minimum.energy.isfinite(), minimum.max_force, torch.nan).double().cpu(),
        energy.cpu(),
        TermEnergies(*(kind.cpu() for kind in excess)),
    )


def _notes(n_added: int, max_force: float, electrostatic: float) -> list[str]:
    notes = []
    if electrostatic >= ELECTROSTATICS_WORTH_TELLING:
        notes.append(f"electrostatics of the whole molecule +{electrostatic:.1f} kcal/mol")
    if not max_force <= UNRELAXED:
        notes.append(f"not fully relaxed, a force of {max_force:.3g} kcal/mol/Å is left: the score is a lower bound")
    if n_added:
        notes.append(f"{n_added} missing hydrogen{'s' if n_added > 1 else ''} added and relaxed")
    return notes
