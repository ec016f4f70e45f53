"""How much each conformer counts at a temperature."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.chem.stereo import declared_centres, declared_double_bonds
from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.symmetry import Symmetry, symmetry
from molebm.units import thermal_energy

_MIRROR: Final = np.array([1.0, 1.0, -1.0])


def boltzmann_weights(
    energies: NDArray[np.float64], temperature: float, *, degeneracies: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Weigh conformers by g exp(-E/kT), summing to 1.

    Parameters
    ----------
    energies
        (C,) kcal/mol. Entropy within each minimum counts if these are free energies, as with
        `vibrational_free_energies` added; conformers that are not listed do not count.
    temperature
        K.
    degeneracies
        (C,) how many copies each stands for, as `degeneracies` counts them; one each if not given.
    """
    weights = np.exp(-(energies - energies.min()) / thermal_energy(temperature))
    if degeneracies is not None:
        weights = weights * degeneracies
    return weights / weights.sum()


def degeneracies(mol: Chem.Mol, positions: NDArray[np.float64], *, rmsd: float = 0.2) -> NDArray[np.int64]:
    """Count the copies of each conformer that differ only in which of its equivalent heavy atoms is which, (C,).

    gauche-Butane counts 2 and anti-butane 1. Copies are all orders of equivalent atoms that keep the declared
    stereo, except those that a rotation of the whole undoes; and, where the molecule is its own mirror
    image, the same of the mirror image. A mirror image that is listed itself counts there alone. Exchanges of
    hydrogens, such as by turning a methyl group, are as many for each conformer and are left out.

    Parameters
    ----------
    positions
        (C, N, 3) Å, of distinct conformers.
    rmsd
        Å over the heavy atoms, within which two structures are the same.
    """
    found = symmetry(mol)
    as_it_is = Symmetry(found.heavy, found.all_orders()[:1], ())
    proper, improper = _allowed_orders(mol, positions, found)
    counts = np.empty(len(positions), dtype=np.int64)
    for i, frame in enumerate(positions):
        itself = _reordered(frame, found.heavy, proper)
        counts[i] = len(proper) // int((rmsd_matrix(frame[None], as_it_is, itself) <= rmsd).sum())
        if len(improper):
            mirrored = Symmetry(found.heavy, improper, ())
            mirrored_here = rmsd_matrix(positions, mirrored, (frame * _MIRROR)[None]) <= rmsd
            counts[i] *= 1 if mirrored_here.any() else 2
    return counts


def _allowed_orders(
    mol: Chem.Mol, positions: NDArray[np.float64], found: Symmetry
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Divide the orders into those that keep the stereo of the first conformer, and those whose mirror image does."""
    orders = found.all_orders()
    place = {int(atom): i for i, atom in enumerate(found.heavy)}
    frame = positions[0][found.heavy]
    keeps = np.ones(len(orders), dtype=bool)
    keeps_mirrored = keeps.copy()
    for atoms, _ in declared_centres(mol):
        near = [n.GetIdx() for n in mol.GetAtomWithIdx(atoms[0]).GetNeighbors() if n.GetIdx() in place][:3]
        if len(near) == 3:
            places = [place[atom] for atom in (atoms[0], *near)]
            sign = np.sign(_handedness(frame[orders[:, places]]))
            keeps &= sign == sign[0]
            keeps_mirrored &= sign == -sign[0]
    for bonded, _ in declared_double_bonds(mol):
        if all(atom in place for atom in bonded):
            cis = _is_cis(frame[orders[:, [place[atom] for atom in bonded]]])
            keeps &= cis == cis[0]
            keeps_mirrored &= cis == cis[0]
    return orders[keeps], orders[keeps_mirrored]


def _handedness(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Triple product of three neighbours about a centre, from (M, 4, 3)."""
    a, b, c = (x[:, k] - x[:, 0] for k in (1, 2, 3))
    return (a * np.cross(b, c)).sum(-1)


def _is_cis(x: NDArray[np.float64]) -> NDArray[np.bool_]:
    axis = x[:, 2] - x[:, 1]
    return (np.cross(x[:, 0] - x[:, 1], axis) * np.cross(x[:, 3] - x[:, 2], axis)).sum(-1) > 0


def _reordered(frame: NDArray[np.float64], heavy: NDArray[np.int64], orders: NDArray[np.int64]) -> NDArray[np.float64]:
    frames = np.tile(frame, (len(orders), 1, 1))
    frames[:, heavy] = frame[heavy[orders]]
    return frames
