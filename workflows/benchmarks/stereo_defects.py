"""Defects of the hand of centres and the sides of double bonds, against what the tags of the molecule declare."""

from __future__ import annotations

import numpy as np
from rdkit import Chem
from rigid_moves import Array, Defect, any_one, beyond, turned, unit, with_positions

from molebm.chem.stereo import declared_centres, declared_double_bonds

_OTHER = {
    Chem.BondStereo.STEREOZ: Chem.BondStereo.STEREOE,
    Chem.BondStereo.STEREOE: Chem.BondStereo.STEREOZ,
    Chem.BondStereo.STEREOCIS: Chem.BondStereo.STEREOTRANS,
    Chem.BondStereo.STEREOTRANS: Chem.BondStereo.STEREOCIS,
}


def inverted_centre(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Exchange two substituents of a declared centre and keep its tag; the severity has no meaning.

    Half a turn about the bisector of two substituents reflects their directions into each other and leaves each
    as it is, its own centres too, so that no other hand changes. A hydrogen may be one of them, there or not. None
    where three substituents are in rings, or the inverted molecule is the same.
    """
    x = mol.GetConformer().GetPositions()
    places = []
    for (centre, *_), _ in declared_centres(mol):
        free = _free_arms(mol, x, centre)
        if len(free) >= 2 and _matters(mol, [centre]):
            places.append((centre, sorted(free, key=lambda arm: len(arm[1]))[:2]))
    if (place := any_one(places, generator)) is None:
        return None
    centre, ((first, side), (second, other)) = place
    return Defect(with_positions(mol, turned(x, [*side, *other], x[centre], first + second, 180)), (centre,))


def mirror_image(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Reflect the whole molecule and keep its tags; None for a molecule that is its own image. No severity."""
    centres = [centre for (centre, *_), _ in declared_centres(mol)]
    if not centres or not _matters(mol, centres):
        return None
    return Defect(with_positions(mol, mol.GetConformer().GetPositions() * [-1, 1, 1]), tuple(centres))


def turned_double_bond(mol: Chem.Mol, severity: float, generator: np.random.Generator) -> Defect | None:
    """Turn a declared double bond outside rings by half a turn, E to Z or Z to E, and keep its tag. No severity."""
    places = [atoms for atoms, _ in declared_double_bonds(mol) if _is_two_sided(mol, *atoms[1:3])]
    if (atoms := any_one(places, generator)) is None:
        return None
    x = mol.GetConformer().GetPositions()
    _, j, k, _ = atoms
    return Defect(with_positions(mol, turned(x, beyond(mol, [j], k), x[j], x[k] - x[j], 180)), atoms)


def _free_arms(mol: Chem.Mol, x: Array, centre: int) -> list[tuple[Array, list[int]]]:
    """Direction and atoms of each substituent outside rings; a hydrogen that is not there has no atoms."""
    arms = [
        (unit(x[b.GetOtherAtomIdx(centre)] - x[centre]), b.GetOtherAtomIdx(centre), b.IsInRing())
        for b in mol.GetAtomWithIdx(centre).GetBonds()
    ]
    free = [(direction, beyond(mol, [centre], near)) for direction, near, in_ring in arms if not in_ring]
    if len(arms) == 3:
        free.append((-unit(np.sum([direction for direction, *_ in arms], axis=0)), []))
    return free


def _is_two_sided(mol: Chem.Mol, j: int, k: int) -> bool:
    """Tell whether a double bond is outside rings, and the molecule is another one with it turned."""
    other = Chem.Mol(mol)
    for bond in other.GetBonds():
        bond.SetBondDir(Chem.BondDir.NONE)  # SMILES are written by these where they are there
    bond = other.GetBondBetweenAtoms(j, k)
    bond.SetStereo(_OTHER[bond.GetStereo()])
    return not mol.GetBondBetweenAtoms(j, k).IsInRing() and _canonical(other) != _canonical(mol)


def _matters(mol: Chem.Mol, centres: list[int]) -> bool:
    """Tell whether the molecule is another one with these centres inverted."""
    other = Chem.Mol(mol)
    for centre in centres:
        other.GetAtomWithIdx(centre).InvertChirality()
    return _canonical(other) != _canonical(mol)


def _canonical(mol: Chem.Mol) -> str:
    return Chem.CanonSmiles(Chem.MolToSmiles(Chem.AddHs(mol)))  # read again, for tags that do not matter
