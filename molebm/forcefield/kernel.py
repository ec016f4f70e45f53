"""The one kernel: MMFF's functional form, evaluated for every conformer of every molecule at once."""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from molebm.forcefield import geometry
from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology
from molebm.units import COULOMB

Number = TypeVar("Number", float, Tensor)

BOND_CUBIC = -2.0  # 1/Å, MMFF94's cubic stretch; the quartic coefficient is 7/12 of its square
ANGLE_CUBIC = -0.4  # 1/rad, MMFF94's cubic bend (-0.006981317 per degree)
SCALE_14 = 0.75  # electrostatics between atoms three bonds apart
ELECTROSTATIC_BUFFER = 0.05  # Å


class TermEnergies(NamedTuple):
    """Energies by kind of term, kcal/mol: (terms, C) for each term or (G, C) for their sums."""

    bond: Tensor
    angle: Tensor
    stretch_bend: Tensor
    torsion: Tensor
    out_of_plane: Tensor
    van_der_waals: Tensor
    electrostatic: Tensor


def per_term(topology: Topology, parameters: Parameters, positions: Tensor) -> TermEnergies:
    r"""Evaluate every term of every conformer.

    .. math::
        E = \sum \tfrac12 k\Delta r^2(1 - 2\Delta r + \tfrac73\Delta r^2)
          + \sum \tfrac12 k\Delta\theta^2(1 - 0.4\Delta\theta)
          + \sum (k_{ij}\Delta r_{ij} + k_{kj}\Delta r_{kj})\Delta\theta
          + \sum \tfrac12 V_n(1 - (-1)^n\cos n\phi)
          + \sum \tfrac12 k\chi^2
          + \sum \epsilon\Bigl(\tfrac{1.07}{\rho+0.07}\Bigr)^7\Bigl(\tfrac{1.12}{\rho^7+0.12}-2\Bigr)
          + \sum \tfrac{332.07\,q_iq_j}{r+0.05}

    with :math:`\rho = r/R` and :math:`k(1+\cos\theta)` for linear angles.

    References
    ----------
    Halgren, J. Comput. Chem. 17, 490 (1996).
    """
    p = parameters
    stretch = geometry.distance(positions, *topology.bonds) - p.bond_length[:, None]
    bond = p.bond_k[:, None] / 2 * stretch**2 * (1 + BOND_CUBIC * stretch + 7 / 12 * BOND_CUBIC**2 * stretch**2)

    cos_theta = geometry.cos_angle(positions, topology.angles)
    bend = geometry.angle_from_cos(cos_theta) - p.angle_theta[:, None]
    cubic = p.angle_k[:, None] / 2 * bend**2 * (1 + ANGLE_CUBIC * bend)
    angle = torch.where(p.angle_linear[:, None], p.angle_k[:, None] * (1 + cos_theta), cubic)
    coupling = p.stretch_bend_k[:, :, None]
    stretch_bend = (
        coupling[0] * stretch[topology.angle_bonds[0]] + coupling[1] * stretch[topology.angle_bonds[1]]
    ) * bend

    torsion = torsion_energy(geometry.cos_torsion(positions, topology.torsions), p.torsion_v)

    sines = geometry.sin_wilson(positions, topology.impropers)
    wilson = sum(_asin(sine).square() for sine in sines)
    out_of_plane = p.improper_k[:, None] / 2 * wilson

    r = geometry.distance(positions, *topology.pairs)
    van_der_waals = buffered_14_7(r / p.pair_radius[:, None], p.pair_depth[:, None])
    electrostatic = pair_charges(topology, p.charge)[:, None] / (r + ELECTROSTATIC_BUFFER)
    return TermEnergies(bond, angle, stretch_bend, torsion, out_of_plane, van_der_waals, electrostatic)


def per_molecule(topology: Topology, terms: TermEnergies) -> TermEnergies:
    """Sum the terms of each kind over each molecule, giving (G, C)."""
    first_atoms = (
        topology.bonds[0],
        topology.angles[0],
        topology.angles[0],
        topology.torsions[0],
        topology.impropers[0],
        topology.pairs[0],
        topology.pairs[0],
    )
    return TermEnergies(
        *(
            energy.new_zeros((topology.n_molecules, energy.shape[1])).index_add(0, topology.molecule[first], energy)
            for first, energy in zip(first_atoms, terms, strict=True)
        )
    )


def energy(topology: Topology, parameters: Parameters, positions: Tensor) -> Tensor:
    """Sum all terms of each conformer of each molecule, (G, C) kcal/mol."""
    return torch.stack(per_molecule(topology, per_term(topology, parameters, positions))).sum(0)


def pair_charges(topology: Topology, charge: Tensor) -> Tensor:
    """Coulomb coefficient of each pair, (P,) kcal/mol·Å, scaled where the atoms are three bonds apart."""
    product = COULOMB * charge[topology.pairs[0]] * charge[topology.pairs[1]]
    return torch.where(topology.pairs_14, SCALE_14 * product, product)


def torsion_energy(cosine: Tensor, v: Tensor) -> Tensor:
    """Sum ½ V_n (1 - (-1)^n cos nφ) over n, (T, C) kcal/mol, with cos nφ by Chebyshev's recurrence.

    Parameters
    ----------
    cosine
        (T, C) of the torsion angles.
    v
        (H, T) kcal/mol.
    """
    total = torch.zeros_like(cosine)
    before, now = torch.ones_like(cosine), cosine
    for n, amplitude in enumerate(v, start=1):
        sign = 1.0 if n % 2 else -1.0
        total = total + amplitude[:, None] / 2 * (1 + sign * now)
        before, now = now, 2 * cosine * now - before
    return total


def _asin(sine: Tensor) -> Tensor:
    bound = 1 - 8 * torch.finfo(sine.dtype).eps
    return torch.asin(sine.clamp(-bound, bound))


def buffered_14_7(rho: Number, depth: Number) -> Number:
    """Van der Waals energy, kcal/mol, at distances in units of that of the minimum, its depth in kcal/mol."""
    near = (1.07 / (rho + 0.07)) ** 2
    near7 = near * near * near * (1.07 / (rho + 0.07))
    rho7 = (rho * rho) ** 3 * rho
    return depth * near7 * (1.12 / (rho7 + 0.12) - 2)
