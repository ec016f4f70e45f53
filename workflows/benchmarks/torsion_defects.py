"""Defects of torsions alone: all bonds and angles stay as they are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rigid_moves import Array, Defect, any_one, beyond, directed_bonds, torsion_degrees, turned, unit, with_positions

STAGGERED: Final = (40.0, 90.0)  # degrees, torsions that are turned to 0
TRANS: Final = 150.0  # degrees; a peptide bond with a larger torsion is trans
CONTACT_BONDS: Final = 4  # atoms at least so many bonds apart can be in contact
CONTACT_LIMITS: Final = (1.5, 2.2, 2.6)  # Å, between which contacts are

_SECONDARY_AMIDE: Final = Chem.MolFromSmarts("[#6]-[CX3](=[OX1])-!@[NX3;H1;+0]-[#6]")
_AMIDE: Final = Chem.MolFromSmarts("[OX1]=[CX3]-!@[NX3;+0]-[#6]")
_ESTER: Final = Chem.MolFromSmarts("[OX1]=[CX3]-!@[OX2]-[#6]")
_SATURATED: Final = Chem.HybridizationType.SP3
_POLAR: Final = {7, 8, 9, 16}  # elements between which a hydrogen may form a hydrogen bond


def cis_amide(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Turn a trans secondary amide outside rings by so many degrees about its C-N bond: 180 makes it cis."""
    x = mol.GetConformer().GetPositions()
    found = [(a, c, n, b) for a, c, _, n, b in mol.GetSubstructMatches(_SECONDARY_AMIDE)]
    torsion = any_one([t for t in found if abs(torsion_degrees(x, *t)) > TRANS], generator)
    return None if torsion is None else _twisted(mol, torsion, by)


def twisted_amide(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Turn an amide outside rings by so many degrees about its C-N bond."""
    return _twisted_match(mol, _AMIDE, by, generator)


def twisted_ester(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Turn an ester outside rings by so many degrees about its C-O bond."""
    return _twisted_match(mol, _ESTER, by, generator)


def eclipsed_torsion(mol: Chem.Mol, fraction: float, generator: np.random.Generator) -> Defect | None:
    """Turn two saturated carbons, staggered and not in one ring, by a fraction of the way to eclipsed.

    The torsion that ends at 0 (at a fraction of 1) is one of those that start gauche, of atoms that are there.
    """
    x = mol.GetConformer().GetPositions()
    places = []
    for j, k in directed_bonds(mol):
        if j < k and all(_saturated_carbon(mol.GetAtomWithIdx(i)) for i in (j, k)):
            before = [a.GetIdx() for a in mol.GetAtomWithIdx(j).GetNeighbors() if a.GetIdx() != k]
            after = [a.GetIdx() for a in mol.GetAtomWithIdx(k).GetNeighbors() if a.GetIdx() != j]
            torsions = [(i, j, k, m) for i in before for m in after]
            angles = [abs(torsion_degrees(x, *t)) for t in torsions]
            if min(angles, default=0) >= STAGGERED[0]:
                places += [t for t, angle in zip(torsions, angles, strict=True) if angle <= STAGGERED[1]]
    torsion = any_one(places, generator)
    return None if torsion is None else _twisted(mol, torsion, -fraction * torsion_degrees(x, *torsion))


def twisted_double_bond(mol: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Turn a double bond of C with C or N, outside rings, by so many degrees."""
    places = []
    for j, k in directed_bonds(mol):
        ends, kind = [mol.GetAtomWithIdx(i) for i in (j, k)], mol.GetBondBetweenAtoms(j, k).GetBondType()
        if j < k and kind == Chem.BondType.DOUBLE and {a.GetAtomicNum() for a in ends} in ({6}, {6, 7}):
            before, after = ([a.GetIdx() for a in end.GetNeighbors() if a.GetIdx() not in (j, k)] for end in ends)
            if before and after and all(a.GetHybridization() == Chem.HybridizationType.SP2 for a in ends):
                places.append((before[0], j, k, after[0]))
    torsion = any_one(places, generator)
    return None if torsion is None else _twisted(mol, torsion, by)


def close_contact(mol: Chem.Mol, at_least: float, generator: np.random.Generator) -> Defect | None:
    """Turn about one single bond until two heavy atoms are nearer than they should be.

    The distance is chosen from at least so many Å to the next of `CONTACT_LIMITS`. The two are the first that come
    so near, of those four bonds apart or more that form no hydrogen bond, so no other such pair is nearer. One end
    of the bond is saturated, and nothing else changes.
    """
    x = mol.GetConformer().GetPositions()
    distance = generator.uniform(at_least, min(limit for limit in CONTACT_LIMITS if limit > at_least))
    limits = np.where(_can_be_in_contact(mol), distance, 0.0)
    places = [pair for pair in directed_bonds(mol) if pair[0] < pair[1] and _is_rotor(mol, *pair)]
    for j, k in generator.permutation(np.array(places, dtype=int).reshape(-1, 2)).tolist():
        side = beyond(mol, [j], k)
        rest = [i for i in range(len(x)) if i not in set(side)]
        turns = _turns_to_contact(x, (j, k), rest, side, limits[np.ix_(rest, side)])
        if turns is None:
            continue
        way = int(generator.integers(2))  # right-handed or left-handed
        p, q = np.unravel_index(int(turns[way].argmin()), turns[way].shape)
        degrees = float(np.degrees(turns[way].min())) * (1, -1)[way]
        return Defect(with_positions(mol, turned(x, side, x[j], x[k] - x[j], degrees)), (rest[p], side[q]))
    return None


def _twisted_match(mol: Chem.Mol, pattern: Chem.Mol, by: float, generator: np.random.Generator) -> Defect | None:
    """Add so many degrees to one of the torsions that match a pattern of four atoms."""
    torsion = any_one(mol.GetSubstructMatches(pattern), generator)
    return None if torsion is None else _twisted(mol, torsion, by)


def _twisted(mol: Chem.Mol, torsion: tuple[int, int, int, int], by: float) -> Defect:
    """Add so many degrees to a torsion."""
    x = mol.GetConformer().GetPositions()
    _, j, k, _ = torsion
    return Defect(with_positions(mol, turned(x, beyond(mol, [j], k), x[j], x[k] - x[j], by)), torsion)


def _turns_to_contact(
    x: Array, bond: tuple[int, int], rest: Sequence[int], side: Sequence[int], limits: Array
) -> Array | None:
    """Angle in rad at which each pair first is at its limit, turning the side right- or left-handedly, (2, R, S).

    Infinite for pairs that never are; None if no pair ever is, or one is nearer already. A distance over a bond
    depends on the angle between the two arms about its axis by the law of cosines.
    """
    origin, axis = x[bond[0]], unit(x[bond[1]] - x[bond[0]])
    arms = x - origin
    height = arms @ axis
    across = arms - np.outer(height, axis)
    radius = np.linalg.norm(across, axis=1)
    r, s = radius[rest][:, None], radius[side][None]
    rise = height[rest][:, None] - height[side][None]
    both = 2 * r * s
    cosine = np.divide(rise**2 + r**2 + s**2 - limits**2, both, out=np.full_like(both, 2), where=both > 1e-6)
    apart = np.where(np.abs(cosine) <= 1, np.arccos(np.clip(cosine, -1, 1)), np.nan)  # between the arms, at the limit
    cross = np.cross(across[rest][:, None], across[side][None]) @ axis
    now = np.arctan2(cross, across[rest] @ across[side].T) % (2 * np.pi)
    turns = np.nan_to_num(np.stack([2 * np.pi - apart - now, now - apart]), nan=np.inf)
    distances = np.linalg.norm(x[rest][:, None] - x[side][None], axis=2)
    return turns if np.isfinite(turns).any() and (distances > limits).all() else None


def _can_be_in_contact(mol: Chem.Mol) -> NDArray[np.bool_]:
    """Tell of each pair whether it is of heavy atoms so many bonds apart that form no hydrogen bond, (N, N)."""
    heavy = np.array([a.GetAtomicNum() > 1 for a in mol.GetAtoms()])
    polar = np.array([a.GetAtomicNum() in _POLAR for a in mol.GetAtoms()])
    donor = polar & np.array([a.GetTotalNumHs(True) > 0 for a in mol.GetAtoms()])
    hydrogen_bonds = np.outer(donor, polar)
    far = Chem.GetDistanceMatrix(mol) >= CONTACT_BONDS
    return far & np.outer(heavy, heavy) & ~(hydrogen_bonds | hydrogen_bonds.T)


def _saturated_carbon(atom: Chem.Atom) -> bool:
    return atom.GetAtomicNum() == 6 and atom.GetTotalDegree() == 4


def _is_rotor(mol: Chem.Mol, j: int, k: int) -> bool:
    """Tell whether a single bond has neighbours at both ends and a saturated atom at one."""
    ends = (mol.GetAtomWithIdx(j), mol.GetAtomWithIdx(k))
    single = mol.GetBondBetweenAtoms(j, k).GetBondType() == Chem.BondType.SINGLE
    return single and all(a.GetDegree() > 1 for a in ends) and any(a.GetHybridization() == _SATURATED for a in ends)
