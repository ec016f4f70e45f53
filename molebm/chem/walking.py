"""Atoms and bonds as lists, several times faster than RDKit's sequences, which measure themselves at every step."""

from __future__ import annotations

from rdkit import Chem


def atoms_of(mol: Chem.Mol) -> list[Chem.Atom]:
    """List the atoms in order."""
    return [mol.GetAtomWithIdx(index) for index in range(mol.GetNumAtoms())]


def bonds_of(mol: Chem.Mol) -> list[Chem.Bond]:
    """List the bonds in order."""
    return [mol.GetBondWithIdx(index) for index in range(mol.GetNumBonds())]
