"""Where the energy above the relaxed structure sits: in which terms, on which atoms."""

from __future__ import annotations

import torch
from torch import Tensor

from molebm.forcefield.kernel import TermEnergies, per_term
from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology


def excess_terms(topology: Topology, parameters: Parameters, positions: Tensor, relaxed: Tensor) -> TermEnergies:
    """Subtract from each term of each conformer the same term where it is relaxed, (terms, C)."""
    given, reference = (per_term(topology, parameters, x) for x in (positions, relaxed))
    return TermEnergies(*(a - b for a, b in zip(given, reference, strict=True)))


def term_atoms(topology: Topology) -> TermEnergies:
    """Give the atoms of each term in place of its energy, (atoms, terms)."""
    return TermEnergies(
        bond=topology.bonds,
        angle=topology.angles,
        stretch_bend=topology.angles,
        torsion=topology.torsions,
        out_of_plane=topology.impropers,
        van_der_waals=topology.pairs,
        electrostatic=topology.pairs,
    )


def excess_per_atom(topology: Topology, terms: TermEnergies) -> Tensor:
    """Share each term equally among its atoms, (N, C) kcal/mol; the atoms of a molecule sum to its excess."""
    total = terms.bond.new_zeros((topology.n_atoms, terms.bond.shape[1]))
    for atoms, energy in zip(term_atoms(topology), terms, strict=True):
        for row in atoms:
            total = total.index_add(0, row, energy / len(atoms))
    return total


def terms_of_molecule(topology: Topology, atoms: Tensor) -> list[slice]:
    """Find the terms of each molecule among those of one kind, given their atoms; terms follow their molecules."""
    counts = torch.bincount(topology.molecule[atoms[0]], minlength=topology.n_molecules).tolist()
    ends = torch.tensor(counts).cumsum(0).tolist()
    return [slice(end - count, end) for end, count in zip(ends, counts, strict=True)]
