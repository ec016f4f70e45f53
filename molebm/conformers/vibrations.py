"""Free energies of the vibrations about minima, from curvatures of whatever energy they are minima of."""

from __future__ import annotations

import math
from typing import Final

import torch
from torch import Tensor

from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.samplers.masses import atomic_masses
from molebm.topology import Topology
from molebm.units import ACCELERATION, BOLTZMANN

LIGHT_SPEED: Final = 2.99792458e-5  # cm/fs
PLANCK: Final = 95.370763  # kcal/mol·fs
ROTOR_BELOW: Final = 100.0  # cm⁻¹, where a mode counts as half vibration, half free rotor
ROTOR_INERTIA: Final = 602.214076  # amu·Å², 1e-44 kg·m²
_STEP: Final = {torch.float32: 5e-3, torch.float64: 1e-3}  # Å, of the differences
_ROWS: Final = 8192  # conformers that are evaluated at a time
_NO_ROTATION: Final = 1e-4  # of the greatest extent of the rigid-body motions; a line does not turn about itself


def vibrational_free_energies(energy_fn: EnergyFn, topology: Topology, positions: Tensor, temperature: float) -> Tensor:
    """Sum over the modes of each conformer, zero-point energy included, giving (G, C) kcal/mol.

    Translation and rotation as a whole are left out, and so is anharmonicity except as `mode_free_energy` says.
    Conformers of one molecule compare; add to their energies before weighing them.

    Parameters
    ----------
    positions
        (3, N, C) Å, minima of the energy.
    temperature
        K.
    """
    modes = vibrational_wavenumbers(energy_fn, topology, positions)
    return torch.stack([mode_free_energy(of_one, temperature).sum(dim=0) for of_one in modes])


def mode_free_energy(wavenumbers: Tensor, temperature: float) -> Tensor:
    """Give the free energy of each vibration, kcal/mol, at a temperature in K.

    That of a quantum harmonic oscillator, but for the entropy of slow modes, which goes over into that of a
    free rotor below 100 cm⁻¹: an oscillator's would grow without bound. Zero wavenumbers, cm⁻¹, give zero.

    References
    ----------
    Grimme, Chem. Eur. J. 18, 9955 (2012).
    """
    kT = BOLTZMANN * temperature
    quantum = PLANCK * LIGHT_SPEED * wavenumbers.clamp(min=1e-3)  # kcal/mol
    x = quantum / kT
    thermal = x / torch.expm1(x)
    vibrating = thermal - torch.log(-torch.expm1(-x))  # entropy / k
    inertia = PLANCK**2 * ACCELERATION / (8 * math.pi**2 * quantum)  # amu·Å², of a rotor as slow as that
    inertia = inertia * ROTOR_INERTIA / (inertia + ROTOR_INERTIA)
    turning = 0.5 + 0.5 * torch.log(8 * math.pi**3 * inertia * kT / (PLANCK**2 * ACCELERATION))
    share = 1 / (1 + (ROTOR_BELOW / wavenumbers.clamp(min=1e-3)) ** 4)
    free_energy = quantum / 2 + kT * (thermal - share * vibrating - (1 - share) * turning)
    return torch.where(wavenumbers > 0, free_energy, 0.0)


def vibrational_wavenumbers(energy_fn: EnergyFn, topology: Topology, positions: Tensor) -> list[Tensor]:
    """Find the normal modes of conformers (3, N, C), giving (3n, C) cm⁻¹ for each molecule of n atoms, rising.

    The first are 0, for the motions as a rigid body: six, five of a linear molecule, three of an atom. A mode of
    negative curvature, where the conformer is no minimum, counts by its magnitude.
    """
    masses = atomic_masses(topology).double()
    curvature = hessians(energy_fn, topology, positions)
    sizes = topology.atoms_per_molecule().tolist()
    found = []
    parts = zip(curvature, positions.double().split(sizes, dim=1), masses.split(sizes), strict=True)
    for hessian, x, mass in parts:  # (C, 3n, 3n), (3, n, C), (n,)
        root = mass.sqrt().repeat(3)
        weighted = hessian / (root[:, None] * root)
        rigid = _rigid_motions(x, mass)  # (C, 3n, 6)
        inner = torch.eye(len(root), dtype=torch.float64, device=x.device) - rigid @ rigid.transpose(1, 2)
        eigenvalues = torch.linalg.eigvalsh(inner @ weighted @ inner).T  # (3n, C) kcal/mol/Å²/amu
        n_rigid = rigid.square().sum((1, 2)).round().long()  # (C,)
        magnitude = eigenvalues.abs().sort(dim=0).values
        magnitude[torch.arange(len(root), device=x.device)[:, None] < n_rigid] = 0
        found.append((magnitude * ACCELERATION).sqrt() / (2 * math.pi * LIGHT_SPEED))
    return found


def hessians(energy_fn: EnergyFn, topology: Topology, positions: Tensor) -> list[Tensor]:
    """Differentiate the forces by central differences, giving (C, 3n, 3n) kcal/mol/Å² in double for each molecule.

    The coordinates go x of all atoms, then y, then z. The same atom of every molecule is displaced at a time, in a
    batch of displacements along the trailing axis; single precision is good to 0.01 kcal/mol/Å².
    """
    n_conformers = positions.shape[2]
    sizes = topology.atoms_per_molecule().tolist()
    starts = [sum(sizes[:g]) for g in range(len(sizes))]
    step = _STEP[positions.dtype]
    centre = topology.sum_atoms(positions.transpose(0, 1)) / topology.atoms_per_molecule().view(-1, 1, 1)  # (G, 3, C)
    x = positions - centre[topology.molecule].transpose(0, 1)  # small numbers lose less
    found = [positions.new_zeros((n_conformers, 3 * size, 3 * size), dtype=torch.float64) for size in sizes]
    displacements = [(axis, atom) for axis in range(3) for atom in range(max(sizes))]
    at_once = max(1, _ROWS // (2 * max(1, n_conformers)))
    for first in range(0, len(displacements), at_once):
        part = displacements[first : first + at_once]
        moved = x[:, :, None, None].repeat(1, 1, len(part), 2, 1)  # (3, N, D, 2, C)
        for d, (axis, atom) in enumerate(part):
            rows = [start + atom for start, size in zip(starts, sizes, strict=True) if atom < size]
            moved[axis, rows, d, 0] += step
            moved[axis, rows, d, 1] -= step
        forces = energy_and_forces(energy_fn, moved.flatten(2)).forces.view(moved.shape).double()
        change = forces[:, :, :, 1] - forces[:, :, :, 0]  # (3, N, D, C)
        width = (moved[:, :, :, 0] - moved[:, :, :, 1]).double()  # (3, N, D, C), as rounded
        for d, (axis, atom) in enumerate(part):
            for hessian, start, size in zip(found, starts, sizes, strict=True):
                if atom < size:
                    rows_of_one = change[:, start : start + size, d].reshape(3 * size, n_conformers)
                    hessian[:, axis * size + atom] = (rows_of_one / width[axis, start + atom, d]).T
    return [(hessian + hessian.transpose(1, 2)) / 2 for hessian in found]


def _rigid_motions(x: Tensor, mass: Tensor) -> Tensor:
    """Span the mass-weighted translations and rotations of conformers (3, n, C) by unit vectors, (C, 3n, 6).

    Vectors that are not needed, as of the rotation of a line about itself, are zero.
    """
    _, n, n_conformers = x.shape
    x = x - (x * mass[:, None]).sum(1, keepdim=True) / mass.sum()
    root = mass.sqrt()[:, None]
    motions = x.new_zeros((6, 3, n, n_conformers))
    for axis in range(3):
        after, last = (axis + 1) % 3, (axis + 2) % 3
        motions[axis, axis] = root
        motions[3 + axis, after] = -root * x[last]
        motions[3 + axis, last] = root * x[after]
    vectors, extents, _ = torch.linalg.svd(motions.flatten(1, 2).permute(2, 1, 0), full_matrices=False)
    needed = extents > _NO_ROTATION * extents[:, :1]
    found = x.new_zeros((n_conformers, 3 * n, 6))
    found[..., : vectors.shape[2]] = vectors * needed[:, None]
    return found
