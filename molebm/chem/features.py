"""What the graph network sees of an atom and of a bond: small categories, no coordinates."""

from __future__ import annotations

from typing import Final

from rdkit import Chem

from molebm.topology import ELEMENTS

_ELEMENT: Final = {element: place for place, element in enumerate(ELEMENTS)}
_HYBRIDISATION: Final = {
    Chem.HybridizationType.S: 0,  # lone ions and bare atoms
    Chem.HybridizationType.SP: 1,
    Chem.HybridizationType.SP2: 2,
    Chem.HybridizationType.SP3: 3,
}
_BOND_TYPE: Final = {
    Chem.BondType.SINGLE: 0,
    Chem.BondType.DOUBLE: 1,
    Chem.BondType.TRIPLE: 2,
    Chem.BondType.AROMATIC: 3,
}
_LARGEST_RING: Final = 8  # rings this large or larger share a category


def atom_features(atom: Chem.Atom, rings: Chem.RingInfo) -> tuple[int, ...]:
    """Element, charge, hybridisation, degree, hydrogens, aromaticity, smallest ring, number of rings."""
    index = atom.GetIdx()
    return (
        _ELEMENT.get(atom.GetAtomicNum(), len(_ELEMENT)),
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
        _BOND_TYPE.get(bond.GetBondType(), len(_BOND_TYPE)),
        int(bond.GetIsConjugated()),
        min(rings.MinBondRingSize(bond.GetIdx()), _LARGEST_RING),
    )


def _hybridisation(atom: Chem.Atom) -> int:
    """Category of the hybridisation; hydrogens have none, since RDKit gives them one only when it reads them."""
    none = len(_HYBRIDISATION)
    return none if atom.GetAtomicNum() == 1 else _HYBRIDISATION.get(atom.GetHybridization(), none)
