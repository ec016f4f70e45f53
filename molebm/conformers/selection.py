"""Which conformers of a molecule are kept: the lowest of each kind, within an energy window."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.conformers.rmsd import best_rmsd, equivalent_orders
from molebm.units import thermal_energy


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
    order = np.argsort(energies, kind="stable")
    waiting = order[energies[order] <= energies[order[0]] + energy_window] if len(order) else order
    waiting = waiting[np.isfinite(energies[waiting])]
    chosen: list[int] = []
    if not len(waiting):
        return chosen
    orders = equivalent_orders(mol)
    heavy = positions[:, orders[0]]
    heavy = heavy - heavy.mean(axis=1, keepdims=True)
    place = np.empty(mol.GetNumAtoms(), dtype=np.int64)
    place[orders[0]] = np.arange(orders.shape[1])
    orders = place[orders]
    while len(waiting) and len(chosen) < n_conformers:
        lowest, waiting = waiting[0], waiting[1:]
        chosen.append(int(lowest))
        if rmsd > 0 and len(waiting):
            waiting = waiting[best_rmsd(heavy[lowest][orders], heavy[waiting]) > rmsd]
    return chosen


def boltzmann_weights(energies: NDArray[np.float64], temperature: float) -> NDArray[np.float64]:
    """Weigh conformers by exp(-E/kT), summing to 1.

    The temperature is in K. Entropy within each minimum is left out, and so are conformers that are not
    listed.
    """
    weights = np.exp(-(energies - energies.min()) / thermal_energy(temperature))
    return weights / weights.sum()
