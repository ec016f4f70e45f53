"""What the kernel's terms cannot say, evaluated per step: every atom couples the geometry around it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import torch
from torch import Tensor
from torch.nn.functional import silu

from molebm.forcefield import geometry
from molebm.forcefield.energy import EnergyFn, EnergyForces, energy_and_forces
from molebm.topology import Topology

CONFORMERS_AT_ONCE: Final = 32
"""More conformers than this are evaluated in turns, which bounds the memory and keeps the work near the core."""

SMOOTHING: Final = 0.1  # Å⁴, of the squared areas that the arms of a torsion span with its axis, 4 Å⁴ as a rule


@dataclass(frozen=True, slots=True)
class Couplings:
    """What the residual network says of a topology; P pairs, K densities, H hidden units."""

    pairs: Tensor  # (2, P) int64, all pairs of atoms of each molecule, bonded or not
    coefficients: Tensor  # (2, P, K), what the first atom sees of the second, and the second of the first
    torsions: Tensor  # (2, T, K), what either middle atom sees of a torsion
    mixing: Tensor  # (H, K)
    bias: Tensor  # (N, H)
    readout: Tensor  # (N, H) kcal/mol
    cutoff: float  # Å
    bound: float  # kcal/mol per atom

    def to(self, dtype: torch.dtype, device: torch.device | str | None = None) -> Couplings:
        """Return the same couplings with their numbers in the floating-point type `dtype`, on `device`."""
        numbers = ("coefficients", "torsions", "mixing", "bias", "readout")
        moved = {name: getattr(self, name).to(device, dtype) for name in numbers}
        return replace(self, pairs=self.pairs.to(device), **moved)


def coupling_energy(topology: Topology, couplings: Couplings, positions: Tensor) -> Tensor:
    r"""Evaluate the residual of positions (3, N, C) Å, giving (G, C) kcal/mol.

    Every atom sees its surroundings as densities, of distances to all neighbours and of the torsions about its
    bonds, and a small network of them makes its energy. What a term adds to a density is its own, so that
    stretches, angles, torsions and contacts couple at one atom, the two torsions beside it above all:

    .. math::
        \rho_{ik} = \sum_j c_{ijk} f_k(r_{ij}^2/r_c^2) + \sum_t c_{itk} \cos\phi_t, \quad
        u_i = w_i \cdot [\sigma(W\rho_i + b_i) - \sigma(b_i)], \quad
        E = \sum_i u_i / \sqrt{1 + (u_i/a)^2}

    The energy of an atom stays within the bound :math:`a`, without the dead gradients of a tanh far out. There
    is no singularity, at coincident atoms neither, and there are two continuous derivatives at the cutoff.

    References
    ----------
    Behler and Parrinello, Phys. Rev. Lett. 98, 146401 (2007), energies of atoms from densities of neighbours.
    """
    return _energy(topology, within_cutoff(couplings, positions), positions)


def within_cutoff(couplings: Couplings, positions: Tensor) -> Couplings:
    """Leave out the pairs that are too far apart in every conformer; one that is lost, being nan, stays."""
    i, j = couplings.pairs
    x = positions.detach()
    far = geometry.square(x.index_select(1, j) - x.index_select(1, i)) >= couplings.cutoff**2
    near = (~far).any(1).nonzero().flatten()
    pairs, coefficients = (each.index_select(1, near) for each in (couplings.pairs, couplings.coefficients))
    return replace(couplings, pairs=pairs, coefficients=coefficients)


def _energy(topology: Topology, couplings: Couplings, positions: Tensor) -> Tensor:
    t, c = topology, couplings
    i, j = c.pairs
    there, back = c.coefficients[..., None]  # (P, K, 1) each
    step = positions.index_select(1, j) - positions.index_select(1, i)
    s = (geometry.square(step) / c.cutoff**2).clamp(max=1)  # (P, C)
    radial = radial_functions(s, there.shape[1])  # (P, K, C)
    density = radial.new_zeros((t.n_atoms, *radial.shape[1:]))
    density = density.index_add(0, i, there * radial).index_add(0, j, back * radial)  # (N, K, C)
    cosine = smooth_cos_torsion(positions, t.torsions)[:, None]  # (T, 1, C)
    for middle, seen in zip(t.torsions[1:3], c.torsions[..., None], strict=True):
        density = density.index_add(0, middle, seen * cosine)
    bias, readout = c.bias[:, :, None], c.readout[:, :, None]  # (N, H, 1) each
    u = (readout * (silu(c.mixing @ density + bias) - silu(bias))).sum(1)  # (N, C), 0 for an atom on its own
    return t.sum_atoms(u * torch.rsqrt(1 + (u / c.bound).square()))


def smooth_cos_torsion(positions: Tensor, torsions: Tensor) -> Tensor:
    """Cosine of the dihedral angle that goes to zero, smoothly, where three atoms fall on a line; (T, C)."""
    a, b, c, d = (positions.index_select(1, row) for row in torsions)
    m, n = torch.linalg.cross(a - b, c - b, dim=0), torch.linalg.cross(d - c, c - b, dim=0)
    return (m * n).sum(0) * torch.rsqrt(geometry.square(m) + SMOOTHING) * torch.rsqrt(geometry.square(n) + SMOOTHING)


def radial_functions(s: Tensor, n_functions: int) -> Tensor:
    """Chebyshev polynomials of s (P, C) in [0, 1] that vanish with two derivatives at s = 1, (P, K, C)."""
    away = 1 - s
    z = 2 * (away - s)
    functions = [away * away * away]
    functions.append(z * functions[0] / 2)
    while len(functions) < n_functions:
        functions.append(z * functions[-1] - functions[-2])
    return torch.stack(functions[:n_functions], dim=1)


@dataclass(frozen=True, slots=True)
class ResidualEnergy:
    """A mechanical energy and the residual on top of it, as one energy function.

    The couplings are those at the time of binding: make a new energy after training the network. Compile the
    residual for many steps: it takes a minute once and makes them about five times as fast.
    """

    topology: Topology
    mechanical: EnergyFn
    couplings: Couplings
    compiled: bool = False

    def __call__(self, positions: Tensor) -> Tensor:
        """Evaluate positions (3, N, C) Å, giving (G, C) kcal/mol."""
        parts = [coupling_energy(self.topology, self.couplings, x) for x in positions.split(CONFORMERS_AT_ONCE, dim=2)]
        return self.mechanical(positions) + torch.cat(parts, dim=1)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate energies (G, C) and forces (3, N, C) kcal/mol/Å, detached."""
        energy, forces = energy_and_forces(self.mechanical, positions)
        parts = [self._residual(x) for x in positions.split(CONFORMERS_AT_ONCE, dim=2)]
        return EnergyForces(
            energy + torch.cat([part.energy for part in parts], dim=1),
            forces + torch.cat([part.forces for part in parts], dim=2),
        )

    def _residual(self, positions: Tensor) -> EnergyForces:
        near = within_cutoff(self.couplings, positions)
        if not self.compiled:
            return energy_and_forces(lambda x: _energy(self.topology, near, x), positions)
        with torch.no_grad():
            gradient, energy = _compiled()(self.topology, near, positions)
        return EnergyForces(energy, -gradient)


@functools.cache
def _compiled() -> Callable[[Topology, Couplings, Tensor], tuple[Tensor, Tensor]]:
    def gradient_and_energy(topology: Topology, couplings: Couplings, positions: Tensor) -> tuple[Tensor, Tensor]:
        def total(x: Tensor) -> tuple[Tensor, Tensor]:
            energy = _energy(topology, couplings, x)
            return energy.sum(), energy

        return torch.func.grad(total, has_aux=True)(positions)

    return torch.compile(gradient_and_energy, dynamic=True)
