"""What the graph network sees of an atom and of a bond: small categories, no coordinates."""

from __future__ import annotations

from typing import Final

from rdkit import Chem

from molebm.topology import ELEMENTS

_HYBRIDISATIONS: Final = (
    Chem.HybridizationType.S,  # lone ions and bare atoms
    Chem.HybridizationType.SP,
    Chem.HybridizationType.SP2,
    Chem.HybridizationType.SP3,
)
_BOND_TYPES: Final = (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)
_LARGEST_RING: Final = 8  # rings this large or larger share a category


def atom_features(atom: Chem.Atom, rings: Chem.RingInfo) -> tuple[int, ...]:
    """Element, charge, hybridisation, degree, hydrogens, aromaticity, smallest ring, number of rings."""
    index = atom.GetIdx()
    return (
        _position(ELEMENTS, atom.GetAtomicNum()),
        min(max(atom.GetFormalCharge(), -2), 2) + 2,
        _hybridisation(atom),
        min(atom.GetDegree(), 6),
        min(atom.GetTotalNumHs(includeNeighbors=True), 4),
        int(atom.GetIsAromatic()),
        min(rings.MinAtomRingSize(index), _LARGEST_RING),
        min(rings.NumAtomRings(index), 3),
    )


def bond_features(bond: Chem.Bond, rings: Chem.RingInfo) -> tuple[int, ...]:
    """Bond type, conjugation, smallest ring."""
    return (
        _position(_BOND_TYPES, bond.GetBondType()),
        int(bond.GetIsConjugated()),
        min(rings.MinBondRingSize(bond.GetIdx()), _LARGEST_RING),
    )


def _hybridisation(atom: Chem.Atom) -> int:
    """Category of the hybridisation; hydrogens have none, since RDKit gives them one only when it reads them."""
    return len(_HYBRIDISATIONS) if atom.GetAtomicNum() == 1 else _position(_HYBRIDISATIONS, atom.GetHybridization())


def _position(known: tuple, value: object) -> int:
    """Return the place of a value among the known ones, or one past the last."""
    return known.index(value) if value in known else len(known)
