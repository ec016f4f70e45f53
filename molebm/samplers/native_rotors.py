"""Bonds that can be turned about, as the C code reads them."""

from __future__ import annotations

import torch

from molebm.forcefield import native_loops
from molebm.samplers.rotors import find_rotors
from molebm.topology import Topology


def native_rotors(topology: Topology) -> native_loops.Rotors:
    """Lay the bonds that can be turned about out for the C code."""
    rotors = find_rotors(topology)
    n_rotors = len(rotors.molecule)
    sizes = topology.atoms_per_molecule()
    first_atom = sizes.cumsum(0) - sizes
    moved_start = sizes[rotors.molecule].cumsum(0) - sizes[rotors.molecule]
    counts = torch.bincount(rotors.molecule, minlength=topology.n_molecules)
    moved = [row[: int(sizes[m])] for m, row in zip(rotors.molecule.tolist(), rotors.turning, strict=False)]
    return native_loops.Rotors(
        torch.cat([counts.new_zeros(1), counts.cumsum(0)]).int(),
        (rotors.axis[:, :n_rotors] - first_atom[rotors.molecule]).int().contiguous(),
        moved_start.contiguous(),
        torch.cat(moved).to(torch.uint8) if moved else torch.zeros(0, dtype=torch.uint8),
    )
