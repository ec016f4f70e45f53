"""Which conformers of a molecule are kept: the lowest of each kind, within an energy window."""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem

from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.symmetry import symmetry

_TOGETHER: Final = 64  # candidates compared with one another at a time
_FINE: Final = 0.05  # Å, below which distances need double precision


def distinct_conformers(
    mol: Chem.Mol,
    positions: NDArray[np.float64],
    energies: NDArray[np.float64],
    *,
    rmsd: float,
    energy_window: float,
    n_conformers: int,
) -> list[int]:
    """Choose conformers by rising energy, each farther than `rmsd` from all that were chosen before it.

    Fewer than `n_conformers` come out only if every other candidate in the window is that near to one of them.

    Parameters
    ----------
    positions
        (C, N, 3) Å, hydrogens included.
    energies
        (C,) kcal/mol; a conformer that is not to be considered has infinity.
    rmsd
        Å over the heavy atoms, equivalent atoms exchanged.
    energy_window
        kcal/mol above the lowest.
    """
    waiting = within_window(energies, energy_window)
    if rmsd <= 0:
        return waiting[:n_conformers].tolist()
    orders = symmetry(mol)
    precision = torch.float32 if rmsd > _FINE else torch.float64
    chosen: list[int] = []
    while len(waiting) and len(chosen) < n_conformers:
        lowest, waiting = waiting[:_TOGETHER], waiting[_TOGETHER:]
        new = lowest[_apart(rmsd_matrix(positions[lowest], orders, precision=precision), rmsd)]
        chosen += new.tolist()
        if len(waiting) and len(chosen) < n_conformers:
            distances = rmsd_matrix(positions[new], orders, positions[waiting], precision=precision)
            waiting = waiting[(distances > rmsd).all(axis=0)]
    return chosen[:n_conformers]


def within_window(energies: NDArray[np.float64], energy_window: float) -> NDArray[np.int64]:
    """List the conformers of finite energy at most so many kcal/mol above the lowest, by rising energy."""
    order = np.argsort(energies, kind="stable")
    order = order[np.isfinite(energies[order])]
    return order[energies[order] <= energies[order[:1]] + energy_window]


def _apart(distances: NDArray[np.floating], rmsd: float) -> list[int]:
    """Keep each that is farther than `rmsd` from all that are kept before it."""
    near = distances <= rmsd
    kept: list[int] = []
    for i in range(len(near)):
        if not near[i, kept].any():
            kept.append(i)
    return kept
