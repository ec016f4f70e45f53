"""Formal charges that nothing about their atoms explains."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from rdkit import Chem

from molebm.chem.walking import atoms_of
from molebm.errors import Fault
from molebm.topology import ELEMENTS

_MULTIPLE: Final = (Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)
_LONE_PAIR: Final = (7, 8, 9, 16, 17, 35, 53)
_POLARISABLE: Final = (14, 15, 16)  # next to these an anion is stable
_NEVER_CHARGED: Final = {1: (-1, 1), 9: (1,), 17: (1,), 35: (1,)}


def unlikely_charges(mol: Chem.Mol) -> Iterator[Fault]:
    """Find charges that a molecule at room temperature does not have, each told once.

    A charge that a neighbour of the other sign balances, as in a nitro group, ylide or sulfone so drawn, is none.
    """
    charged = [atom for atom in atoms_of(mol) if atom.GetFormalCharge()]
    for atom in charged:
        for other in atom.GetNeighbors():
            alike = atom.GetIdx() < other.GetIdx() and atom.GetFormalCharge() * other.GetFormalCharge() > 0
            if alike and not _is_balanced(atom) and not _is_balanced(other):
                sign = "positive" if atom.GetFormalCharge() > 0 else "negative"
                words = f"{_name(atom)} and {_name(other)} are bonded and both {sign}"
                yield Fault(words, (atom.GetIdx(), other.GetIdx()))
    for atom in charged:
        if atom.GetAtomicNum() in ELEMENTS and (objection := _objection(atom)):
            yield Fault(f"{_name(atom)} {objection}", (atom.GetIdx(),))
    total, heavy = Chem.GetFormalCharge(mol), mol.GetNumHeavyAtoms()
    if abs(total) > 2 + heavy / 3:  # phytate has -12 on 36 atoms, spermine +4 on 14
        atoms = tuple(atom.GetIdx() for atom in charged if atom.GetFormalCharge() * total > 0)
        yield Fault(f"the charge is {total:+d} on {heavy} heavy atoms", atoms)


def _objection(atom: Chem.Atom) -> str | None:
    element, charge = atom.GetAtomicNum(), atom.GetFormalCharge()
    if abs(charge) > 1 and abs(_unbalanced(atom)) > 1:
        return f"has charge {charge:+d}"
    if _is_balanced(atom):
        return None
    if charge in _NEVER_CHARGED.get(element, ()):
        return f"has charge {charge:+d}"
    if element == 6 and charge > 0 and not _is_conjugated(atom) and not _has_neighbour(atom, _LONE_PAIR):
        return "is a carbocation that nothing stabilises"
    if element == 6 and charge < 0 and not _is_conjugated(atom) and not _has_neighbour(atom, _POLARISABLE):
        return "is a carbanion that nothing stabilises"
    if element == 7 and charge < 0 and not _is_conjugated(atom) and not _has_neighbour(atom, _POLARISABLE):
        return "is an anion of an amine"
    return None


def _unbalanced(atom: Chem.Atom) -> int:
    """Return the charge that neighbours of the other sign leave, 0 if they have as much or more."""
    charge = atom.GetFormalCharge()
    sign = 1 if charge > 0 else -1
    opposite = sum(max(0, -sign * neighbour.GetFormalCharge()) for neighbour in atom.GetNeighbors())
    return sign * max(0, abs(charge) - opposite)


def _is_balanced(atom: Chem.Atom) -> bool:
    return _unbalanced(atom) == 0


def _is_conjugated(atom: Chem.Atom) -> bool:
    """Tell whether an aromatic system or another multiple bond takes the charge up, or a triple bond its own."""
    if atom.GetIsAromatic() or any(bond.GetBondType() == Chem.BondType.TRIPLE for bond in atom.GetBonds()):
        return True
    return any(
        bond.GetBondType() in _MULTIPLE and bond.GetOtherAtomIdx(neighbour.GetIdx()) != atom.GetIdx()
        for neighbour in atom.GetNeighbors()
        for bond in neighbour.GetBonds()
    )


def _has_neighbour(atom: Chem.Atom, elements: tuple[int, ...]) -> bool:
    return any(neighbour.GetAtomicNum() in elements for neighbour in atom.GetNeighbors())


def _name(atom: Chem.Atom) -> str:
    return f"{atom.GetSymbol()}{atom.GetIdx()}"
