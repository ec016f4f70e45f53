"""The energy of a molecule as one bond is turned, everything else relaxed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdMolTransforms
from torch import Tensor

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import RequestError
from molebm.forcefield.geometry import torsion_angle
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.parametrise import NamedEnergy
from molebm.samplers.minimise import minimise
from molebm.topology import concatenate

STIFFNESS: Final = 1000.0  # kcal/mol; a barrier of 10 kcal/mol then moves the angle by half a degree
STARTS: Final = 4  # conformers that each point starts from


class TorsionScan(NamedTuple):
    """Relaxed structures around a turn."""

    angles: NDArray[np.float64]  # (T,) degrees, as relaxed
    energies: NDArray[np.float64]  # (T,) kcal/mol, without the restraint
    mol: Chem.Mol  # with T conformers


def torsion_scan(
    mol: Chem.Mol, atoms: Sequence[int], energy: NamedEnergy, *, n_points: int = 36, force_tolerance: float = 0.1
) -> TorsionScan:
    """Turn the bond between the second and the third of four atoms, and relax the rest at each angle.

    The angle is held by :math:`k (1 - \\cos(\\phi - \\phi_0))`. Each point starts from the first few conformers and
    the lowest is taken, so that the profile does not depend on the way round.

    Parameters
    ----------
    mol
        With explicit hydrogens and conformers, such as `molebm.generate` returns.
    atoms
        Four, bonded one to the next, counted from 0.
    n_points
        Angles over the full turn.
    force_tolerance
        kcal/mol/Å.

    Raises
    ------
    RequestError
        If there are not four atoms bonded one to the next, the bond is in a ring, or there are no conformers.
    ForceFieldParameterError
        If the energy does not know the molecule.
    """
    _check(mol, atoms)
    angles = -180 + 360 / n_points * np.arange(n_points)
    one = topology_from_mol(mol)
    topology = concatenate([one] * n_points)  # each angle a molecule of its own, each start a conformer of it
    starts = torch.cat([_turned(mol, atoms, angle) for angle in angles], dim=1)  # (3, T N, C)
    mechanical = MechanicalEnergy(topology, energy.parametrise([mol] * n_points, topology))
    torsions = torch.tensor(list(atoms))[:, None] + one.n_atoms * torch.arange(n_points)
    targets = torch.from_numpy(np.radians(angles)).float()[:, None]

    def restrained(positions: Tensor) -> Tensor:
        off = torsion_angle(positions, torsions) - targets
        return mechanical(positions) + STIFFNESS * (1 - off.cos())

    relaxed = minimise(restrained, topology, starts, force_tolerance=force_tolerance, max_steps=2000).positions
    energies = mechanical(relaxed).nan_to_num(nan=math.inf)
    lowest, best = energies.min(dim=1)
    found = torsion_angle(relaxed, torsions).gather(1, best[:, None])[:, 0]
    frames = relaxed.view(3, n_points, one.n_atoms, -1)
    copy = Chem.Mol(mol)
    copy.RemoveAllConformers()
    for point in range(n_points):
        conformer = Chem.Conformer(one.n_atoms)
        conformer.SetPositions(frames[:, point, :, int(best[point])].T.double().contiguous().numpy())
        copy.AddConformer(conformer, assignId=True)
    return TorsionScan(np.degrees(found.double().numpy()), lowest.detach().double().numpy(), copy)


def _turned(mol: Chem.Mol, atoms: Sequence[int], angle: float) -> Tensor:
    """Turn the first conformers to an angle in degrees, (3, N, C) Å."""
    copy = Chem.Mol(mol)
    for conformer_id in [conformer.GetId() for conformer in copy.GetConformers()][STARTS:]:
        copy.RemoveConformer(conformer_id)
    for conformer in copy.GetConformers():
        rdMolTransforms.SetDihedralDeg(conformer, *atoms, float(angle))
    return positions_from_mol(copy)


def _check(mol: Chem.Mol, atoms: Sequence[int]) -> None:
    told = " ".join(map(str, atoms))
    if len(set(atoms)) != 4 or not all(0 <= atom < mol.GetNumAtoms() for atom in atoms):
        raise RequestError(f"atoms {told}: name four different ones of 0 to {mol.GetNumAtoms() - 1}")
    if not all(mol.GetBondBetweenAtoms(a, b) for a, b in zip(atoms, atoms[1:], strict=False)):
        raise RequestError(f"atoms {told} are not bonded one to the next; molebm.depict shows their numbers")
    if mol.GetBondBetweenAtoms(atoms[1], atoms[2]).IsInRing():
        raise RequestError(f"the bond of atoms {atoms[1]} and {atoms[2]} is in a ring and cannot be turned alone")
    if not mol.GetNumConformers():
        raise RequestError("the molecule has no conformers to start from; generate some")
