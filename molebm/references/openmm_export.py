"""The kernel and its parameters as an `openmm.System`, term for term."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import openmm
import torch
from openmm import unit
from torch import Tensor

from molebm.errors import RequestError
from molebm.forcefield import kernel
from molebm.forcefield.kernel import TermEnergies
from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology

# Coefficients stay in kcal/mol, Å and rad as in the kernel: an expression takes nm and gives kJ/mol.
_BOND = f"4.184*k/2*d^2*(1+({kernel.BOND_CUBIC})*d+7/12*({kernel.BOND_CUBIC})^2*d^2); d=10*r-length"
_ANGLE = f"4.184*k/2*d^2*(1+({kernel.ANGLE_CUBIC})*d); d=theta-rest"
_LINEAR_ANGLE = "4.184*k*(1+cos(theta))"
# Written out in coordinates, which OpenMM evaluates several times as fast as its functions angle() and dihedral();
# bounded where atoms fall on a line or stand upright, so that nothing is divided by zero.
_STRETCH_BEND = (
    "4.184*(k1*(10*a-length1)+k2*(10*b-length2))*(theta-rest);"
    "theta=acos(max(-0.999999,min(0.999999,(ax*bx+ay*by+az*bz)/(a*b))));"
    "a=sqrt(ax^2+ay^2+az^2); b=sqrt(bx^2+by^2+bz^2);"
    "ax=x1-x2; ay=y1-y2; az=z1-z2; bx=x3-x2; by=y3-y2; bz=z3-z2"  # p2 the centre
)
_OUT_OF_PLANE = (
    "4.184*k/2*asin(max(-0.999999,min(0.999999,(nx*cx+ny*cy+nz*cz)/sqrt(n2*c2+1e-16))))^2;"
    "n2=nx^2+ny^2+nz^2; c2=cx^2+cy^2+cz^2; nx=ay*bz-az*by; ny=az*bx-ax*bz; nz=ax*by-ay*bx;"
    "ax=x1-x2; ay=y1-y2; az=z1-z2; bx=x3-x2; by=y3-y2; bz=z3-z2; cx=x4-x2; cy=y4-y2; cz=z4-z2"  # p2 the centre
)
_VAN_DER_WAALS = "4.184*depth*(1.07/(rho+0.07))^7*(1.12/(rho^7+0.12)-2); rho=10*r/radius"
_ELECTROSTATIC = f"4.184*charges/(10*r+{kernel.ELECTROSTATIC_BUFFER})"


def openmm_system(topology: Topology, parameters: Parameters, masses: Tensor) -> openmm.System:
    """Write the kernel at these parameters as custom forces, exact to rounding.

    Every pair of the topology is listed and nothing is cut off, so time and memory grow with the square of
    the number of atoms of a molecule. Several molecules share one system without feeling each other, for the
    topology has no pairs between them. There are no constraints. Each force is named after its kind of term,
    and its force group is the place of that kind in `TermEnergies`; linear and other angles are two forces.

    Parameters
    ----------
    masses
        (N,) amu.

    Raises
    ------
    RequestError
        If there is not one mass for each atom.

    References
    ----------
    Eastman et al., J. Phys. Chem. B 128, 109 (2024).
    """
    if masses.shape != topology.atomic_numbers.shape:
        raise RequestError(f"{topology.n_atoms} atoms need as many masses, not masses of shape {tuple(masses.shape)}")
    system = openmm.System()
    for mass in masses.tolist():
        system.addParticle(mass * unit.dalton)
    for force in kernel_forces(topology, parameters):
        system.addForce(force)
    return system


def kernel_forces(
    topology: Topology, parameters: Parameters, particles: Sequence[int] | None = None
) -> list[openmm.Force]:
    """Write the forces of `openmm_system` alone, to be added to any system that holds the molecules.

    Parameters
    ----------
    particles
        Where each atom of the topology stands in that system, (N,); in order from 0 if not given.
    """
    t, p = topology, parameters.map(Tensor.detach)
    bent, linear, coupled = ~p.angle_linear, p.angle_linear, (p.stretch_bend_k != 0).any(0)
    i, j, k, m = t.impropers
    wilson = torch.cat([torch.stack(row) for row in ((i, j, k, m), (k, j, m, i), (m, j, i, k))], dim=1)  # (4, 3O)
    place = torch.arange(t.n_atoms) if particles is None else torch.as_tensor(particles, dtype=torch.int64)
    bonds, angles, pairs = place[t.bonds], place[t.angles], place[t.pairs]
    forces = []
    for term, force in [
        ("bond", _bond_force(_BOND, bonds, {"k": p.bond_k, "length": p.bond_length})),
        ("angle", _angle_force(_ANGLE, angles[:, bent], {"k": p.angle_k[bent], "rest": p.angle_theta[bent]})),
        ("angle", _angle_force(_LINEAR_ANGLE, angles[:, linear], {"k": p.angle_k[linear]})),
        ("stretch_bend", _compound_force(_STRETCH_BEND, angles[:, coupled], _coupling(t, p, coupled))),
        ("torsion", _torsion_force(_series(len(p.torsion_v)), place[t.torsions], _harmonics(p))),
        ("out_of_plane", _compound_force(_OUT_OF_PLANE, place[wilson], {"k": p.improper_k.repeat(3)})),
        ("van_der_waals", _bond_force(_VAN_DER_WAALS, pairs, {"depth": p.pair_depth, "radius": p.pair_radius})),
        ("electrostatic", _bond_force(_ELECTROSTATIC, pairs, {"charges": kernel.pair_charges(t, p.charge)})),
    ]:
        force.setName(term)
        force.setForceGroup(TermEnergies._fields.index(term))
        forces.append(force)
    return forces


def _coupling(topology: Topology, p: Parameters, coupled: Tensor) -> dict[str, Tensor]:
    k1, k2 = p.stretch_bend_k[:, coupled]
    length1, length2 = p.bond_length[topology.angle_bonds[:, coupled]]
    return {"k1": k1, "k2": k2, "length1": length1, "length2": length2, "rest": p.angle_theta[coupled]}


def _harmonics(p: Parameters) -> dict[str, Tensor]:
    return {f"v{n}": amplitude for n, amplitude in enumerate(p.torsion_v, start=1)}


def _series(n_harmonics: int) -> str:
    waves = [f"v{n}*(1{'+' if n % 2 else '-'}cos({n}*theta))" for n in range(1, n_harmonics + 1)]
    return f"4.184/2*({'+'.join(waves)})"


def _bond_force(expression: str, atoms: Tensor, columns: dict[str, Tensor]) -> openmm.CustomBondForce:
    force = openmm.CustomBondForce(expression)
    for name in columns:
        force.addPerBondParameter(name)
    for indices, values in _rows(atoms, columns):
        force.addBond(*indices, values)
    return force


def _angle_force(expression: str, atoms: Tensor, columns: dict[str, Tensor]) -> openmm.CustomAngleForce:
    force = openmm.CustomAngleForce(expression)
    for name in columns:
        force.addPerAngleParameter(name)
    for indices, values in _rows(atoms, columns):
        force.addAngle(*indices, values)
    return force


def _torsion_force(expression: str, atoms: Tensor, columns: dict[str, Tensor]) -> openmm.CustomTorsionForce:
    force = openmm.CustomTorsionForce(expression)
    for name in columns:
        force.addPerTorsionParameter(name)
    for indices, values in _rows(atoms, columns):
        force.addTorsion(*indices, values)
    return force


def _compound_force(expression: str, atoms: Tensor, columns: dict[str, Tensor]) -> openmm.CustomCompoundBondForce:
    force = openmm.CustomCompoundBondForce(len(atoms), expression)
    for name in columns:
        force.addPerBondParameter(name)
    for indices, values in _rows(atoms, columns):
        force.addBond(indices, values)
    return force


def _rows(atoms: Tensor, columns: dict[str, Tensor]) -> Iterator[tuple[list[int], list[float]]]:
    """Pair the atoms of each term with its values."""
    return zip(atoms.T.tolist(), torch.stack(tuple(columns.values()), dim=1).tolist(), strict=True)
