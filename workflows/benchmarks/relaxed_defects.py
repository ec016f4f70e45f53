"""Defects whose bonds and angles are as good as MMFF94 makes them: what is wrong is the hand or the fold alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers
from rigid_moves import Array, Defect, any_one, beyond, plane, torsion_degrees, turned, unit, with_positions
from ring_defects import saturated_rings
from stereo_defects import inverted_centre

from molebm.plausibility.stereo import stereo_mismatches

MAX_STEPS: Final = 500
LEAST_PUCKER: Final = 30.0  # degrees; all torsions of a chair are larger, and their signs alternate


def epimer(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Invert one declared centre, keep its tag, and relax the molecule; the severity has no meaning.

    None where MMFF94 has no parameters, or the relaxed centre is not inverted.
    """
    inverted = inverted_centre(mol, severity, generator)
    if inverted is None or (x := _relaxed(inverted.mol)) is None:
        return None
    changed = with_positions(mol, x)
    return Defect(changed, inverted.atoms) if stereo_mismatches(changed) else None


def boat_ring(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Turn one end of a chair to the side of the other, and relax the ring with what is bound to it. No severity.

    None where MMFF94 has no parameters, or the ring finds back to a chair.
    """
    x = mol.GetConformer().GetPositions()
    if (ring := any_one([ring for ring in saturated_rings(mol) if _is_chair(x, ring)], generator)) is None:
        return None
    start = int(generator.integers(6))
    end, *rest = ring[start:] + ring[:start]
    before, after = rest[-1], rest[0]
    centre, normal = plane(x[[before, after, rest[1], rest[3]]])
    mirrored = x[end] - 2 * ((x[end] - centre) @ normal) * normal
    axis, origin = x[after] - x[before], x[before]
    moved = turned(x, beyond(mol, rest, end), origin, axis, _angle_about(axis, x[end] - origin, mirrored - origin))
    near = {a.GetIdx() for i in ring for a in mol.GetAtomWithIdx(i).GetNeighbors()} | set(ring)
    fixed = [i for i in range(len(x)) if i not in near]
    relaxed = _relaxed(with_positions(mol, moved), fixed)
    if relaxed is None or _is_chair(relaxed, ring):
        return None
    return Defect(with_positions(mol, relaxed), tuple(ring))


def _relaxed(mol: Chem.Mol, fixed: Sequence[int] = ()) -> Array | None:
    """Coordinates of the given atoms, (N, 3) Å, where MMFF94 is lowest; None where it has no parameters."""
    whole = Chem.AddHs(mol, addCoords=True)
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(whole)
    if properties is None:
        return None
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(whole, properties)
    for atom in fixed:
        field.AddFixedPoint(atom)
    field.Initialize()
    field.Minimize(maxIts=MAX_STEPS)
    return whole.GetConformer().GetPositions()[: mol.GetNumAtoms()]


def _is_chair(x: Array, ring: Sequence[int]) -> bool:
    torsions = np.array([torsion_degrees(x, *(ring[(i + j) % 6] for j in range(4))) for i in range(6)])
    alternating = torsions * [1, -1, 1, -1, 1, -1]
    return bool(max(alternating.min(), (-alternating).min()) > LEAST_PUCKER)


def _angle_about(axis: Array, first: Array, second: Array) -> float:
    """Degrees of the right-handed turn about an axis that brings one arm to the other."""
    u = unit(axis)
    a, b = first - (first @ u) * u, second - (second @ u) * u
    return float(np.degrees(np.arctan2(np.cross(a, b) @ u, a @ b)))
