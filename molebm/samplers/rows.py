"""Conformers as rows of a matrix, where an inner product is a sum along a row."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.topology import Topology


class Rows(NamedTuple):
    """R conformers of some of the molecules, and where their coordinates stand in positions (3 or 4, N, C).

    A row holds x of every atom, then y, then z and so on, each padded with zeros to the largest molecule: D numbers.
    Not every one of the G · C places need have a row; what has none is evaluated and forgotten.
    """

    molecule: Tensor  # (R,) int64, sorted
    place: Tensor  # (R,) int64, in the flattened energies (G, C)
    here: Tensor  # (K,) int64, each coordinate in the flattened rows
    there: Tensor  # (K,) int64, the same coordinate in the flattened positions
    shape: tuple[int, int]  # (R, D)


def rows_of(topology: Topology, molecule: Tensor, n_conformers: int, n_dimensions: int = 3) -> Rows:
    """Lay out one row for each entry of `molecule` (R,), sorted, in the first free of C places of its molecule."""
    device, n_rows = molecule.device, len(molecule)
    sizes = topology.atoms_per_molecule()
    first_atom = sizes.cumsum(0) - sizes  # (G,)
    rows_per_molecule = torch.bincount(molecule, minlength=topology.n_molecules)
    first_row = rows_per_molecule.cumsum(0) - rows_per_molecule  # (G,)
    row = torch.arange(n_rows, device=device)
    conformer = row - first_row[molecule]  # (R,)

    atoms = sizes[molecule]  # (R,)
    row_of_atom = row.repeat_interleave(atoms)  # (K / dimensions,)
    within = torch.arange(len(row_of_atom), device=device) - (atoms.cumsum(0) - atoms)[row_of_atom]
    atom = first_atom[molecule][row_of_atom] + within
    axis = torch.arange(n_dimensions, device=device)[:, None]
    n_max = int(sizes.max())
    here = (row_of_atom * n_dimensions + axis) * n_max + within
    there = (axis * topology.n_atoms + atom) * n_conformers + conformer[row_of_atom]
    place = molecule * n_conformers + conformer
    return Rows(molecule, place, here.flatten(), there.flatten(), (n_rows, n_dimensions * n_max))


def gather(rows: Rows, positions: Tensor) -> Tensor:
    """Read the rows (R, D) from positions or forces (3, N, C)."""
    values = positions.reshape(-1).index_select(0, rows.there)
    return values.new_zeros(rows.shape[0] * rows.shape[1]).index_copy_(0, rows.here, values).view(rows.shape)


def scatter(rows: Rows, values: Tensor, background: Tensor) -> Tensor:
    """Write the rows (R, D) over a copy of the background (3, N, C)."""
    flat = background.reshape(-1).index_copy(0, rows.there, values.view(-1).index_select(0, rows.here))
    return flat.view_as(background)


def evaluate(energy_fn: EnergyFn, rows: Rows, values: Tensor, background: Tensor) -> tuple[Tensor, Tensor]:
    """Evaluate the energies (R, 1) kcal/mol and forces (R, D) kcal/mol/Å of rows (R, D)."""
    energy, forces = energy_and_forces(energy_fn, scatter(rows, values, background))
    return energy.reshape(-1, 1).index_select(0, rows.place), gather(rows, forces)
