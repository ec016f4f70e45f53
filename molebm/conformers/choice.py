"""Which of the candidates make the ensemble."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.conformers.diversity import medoids
from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.selection import distinct_conformers, within_window
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.symmetry import symmetry
from molebm.conformers.weights import boltzmann_weights

SPREAD: Final = 2000.0  # K, of the weights by which candidates count


def lowest_of_each_kind(
    mol: Chem.Mol, positions: NDArray[np.float64], energies: NDArray[np.float64], settings: GenerationSettings
) -> list[int]:
    """Choose the lowest conformers, each farther than the threshold from those below it; by rising energy."""
    return distinct_conformers(
        mol,
        positions,
        energies,
        rmsd=settings.rmsd,
        energy_window=settings.energy_window,
        n_conformers=settings.n_conformers,
    )


def those_that_stand_for_all(
    mol: Chem.Mol, positions: NDArray[np.float64], energies: NDArray[np.float64], settings: GenerationSettings
) -> list[int]:
    """Choose conformers so that whatever else was found lies near one of them; by rising energy.

    Of those nearer to each other than the threshold the lowest counts for all. The lowest of all is among them.
    """
    n_candidates = len(energies)
    kinds = np.array(
        distinct_conformers(
            mol,
            positions,
            energies,
            rmsd=settings.rmsd,
            energy_window=settings.energy_window,
            n_conformers=n_candidates,
        ),
        dtype=np.int64,
    )
    if len(kinds) <= settings.n_conformers:
        return kinds.tolist()
    waiting = within_window(energies, settings.energy_window)
    orders = symmetry(mol)
    weights = np.zeros(n_candidates)
    nearest = kinds[rmsd_matrix(positions[kinds], orders, positions[waiting]).argmin(axis=0)]
    np.add.at(weights, nearest, boltzmann_weights(energies[waiting], SPREAD))
    chosen = medoids(rmsd_matrix(positions[kinds], orders), settings.n_conformers, weights=weights[kinds])
    return kinds[np.sort(chosen)].tolist()
