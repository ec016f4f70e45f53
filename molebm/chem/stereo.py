"""Declared stereochemistry, as signs that coordinates either have or have not."""

from __future__ import annotations

from rdkit import Chem

from molebm.chem.walking import atoms_of, bonds_of

_HANDED = {Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 1, Chem.ChiralType.CHI_TETRAHEDRAL_CW: -1}
_CIS = (Chem.BondStereo.STEREOZ, Chem.BondStereo.STEREOCIS)
_TRANS = (Chem.BondStereo.STEREOE, Chem.BondStereo.STEREOTRANS)


def declared_centres(mol: Chem.Mol) -> list[tuple[tuple[int, int, int, int], int]]:
    """List ((centre, a, b, c), sign) for every atom with a tetrahedral tag.

    The sign is that of the triple product (a - centre) · (b - centre) x (c - centre) of the first
    three neighbours. Looking from the first neighbour of a counter-clockwise centre the others
    turn counter-clockwise, so the product of the first three is positive, with or without a fourth.
    """
    found = []
    for atom in atoms_of(mol):
        sign = _HANDED.get(atom.GetChiralTag())
        neighbours = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()]
        if sign is not None and len(neighbours) >= 3:
            found.append(((atom.GetIdx(), *neighbours[:3]), sign))
    return found


def declared_double_bonds(mol: Chem.Mol) -> list[tuple[tuple[int, int, int, int], bool]]:
    """List ((a, begin, end, d), cis) for every double bond with declared E or Z."""
    found = []
    for bond in bonds_of(mol):
        stereo = bond.GetStereo()
        if stereo in _CIS or stereo in _TRANS:
            a, d = bond.GetStereoAtoms()
            found.append(((a, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), d), stereo in _CIS))
    return found
