"""Declared stereochemistry, as signs that coordinates either have or have not."""

from __future__ import annotations

from rdkit import Chem

from molebm.chem.walking import atoms_of, bonds_of

_HANDED = {Chem.ChiralType.CHI_TETRAHEDRAL_CCW: 1, Chem.ChiralType.CHI_TETRAHEDRAL_CW: -1}
_IS_CIS = {
    Chem.BondStereo.STEREOZ: True,
    Chem.BondStereo.STEREOCIS: True,
    Chem.BondStereo.STEREOE: False,
    Chem.BondStereo.STEREOTRANS: False,
}


def declared_centres(mol: Chem.Mol) -> list[tuple[tuple[int, int, int, int], int]]:
    """List ((centre, a, b, c), sign) for every atom with a tetrahedral tag.

    The sign is that of the triple product (a - centre) · (b - centre) x (c - centre) of the first
    three neighbours. Looking from the first neighbour of a counter-clockwise centre the others
    turn counter-clockwise, so the product of the first three is positive, with or without a fourth.
    """
    found = []
    for atom in atoms_of(mol):
        sign = _HANDED.get(atom.GetChiralTag())
        if sign is None:
            continue
        neighbours = [bond.GetOtherAtomIdx(atom.GetIdx()) for bond in atom.GetBonds()]
        if len(neighbours) >= 3:
            found.append(((atom.GetIdx(), *neighbours[:3]), sign))
    return found


def declared_double_bonds(mol: Chem.Mol) -> list[tuple[tuple[int, int, int, int], bool]]:
    """List ((a, begin, end, d), cis) for every double bond with declared E or Z."""
    found = []
    for bond in bonds_of(mol):
        is_cis = _IS_CIS.get(bond.GetStereo())
        if is_cis is not None:
            a, d = bond.GetStereoAtoms()
            found.append(((a, bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), d), is_cis))
    return found
