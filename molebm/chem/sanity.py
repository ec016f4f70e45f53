"""Whether the atoms and bonds of a record are those of a molecule, told as faults and where they are.

Some faults no molecule has: `chemistry_problems`, `unpaired_electrons` and `fragments`. The others are found in
graphs that can be drawn, but hardly made, or that were written wrongly: `graph_faults` finds all of them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from rdkit import Chem, rdBase

from molebm.chem.strained_rings import strained_rings
from molebm.chem.unlikely_charges import unlikely_charges
from molebm.chem.walking import atoms_of
from molebm.errors import Fault
from molebm.topology import ELEMENTS

_ELEMENTS: Final = frozenset(ELEMENTS)
_NORMAL_VALENCE: Final = {15: 3, 16: 2, 53: 1}  # of what may be hypervalent, and then has no hydrogen beyond it

# Hydrogens are told by what bears them, since files leave out whole kinds: here what they keep.
_POLAR, _PROTON, _AROMATIC, _ALIPHATIC = "polar", "proton", "aromatic", "aliphatic"
_CONVENTIONS: Final = (
    frozenset[str](),
    frozenset({_POLAR, _PROTON}),
    frozenset({_POLAR}),
    frozenset({_POLAR, _PROTON, _AROMATIC}),
    frozenset({_POLAR, _AROMATIC}),
    frozenset({_POLAR, _PROTON, _AROMATIC, _ALIPHATIC}),
    frozenset({_POLAR, _AROMATIC, _ALIPHATIC}),
)


def graph_faults(mol: Chem.Mol) -> list[Fault]:
    """List what is wrong or improbable in a sanitised molecule as it was read, with the hydrogens that were given."""
    return [
        *unpaired_electrons(mol),
        *fragments(mol),
        *missing_hydrogens(mol),
        *hydrogens_beyond_valence(mol),
        *unlikely_charges(mol),
        *strained_rings(mol),
    ]


def chemistry_problems(raw: Chem.Mol) -> Iterator[Fault]:
    """Say why a molecule that was read without sanitising cannot be sanitised.

    There is nothing to say where an element is not known, or stands for any: its valence is not known either.
    """
    if any(atom.HasQuery() or atom.GetAtomicNum() not in _ELEMENTS for atom in atoms_of(raw)):
        return
    with rdBase.BlockLogs():
        problems = Chem.DetectChemistryProblems(raw)
    for problem in problems:
        match problem.GetType():
            case "AtomValenceException":
                yield _valence_exceeded(raw.GetAtomWithIdx(problem.GetAtomIdx()))
            case "KekulizeException":
                atoms = tuple(problem.GetAtomIndices())
                yield Fault(f"no double bonds can be placed among aromatic {_names(raw, atoms)}", atoms)
            case "AtomKekulizeException":
                atoms = (problem.GetAtomIdx(),)
                yield Fault(f"{_names(raw, atoms)} is marked aromatic and in no ring", atoms)
            case _:
                yield Fault(problem.Message(), ())


def unpaired_electrons(mol: Chem.Mol) -> Iterator[Fault]:
    """Find the radicals."""
    for atom in atoms_of(mol):
        if electrons := atom.GetNumRadicalElectrons():
            number = "an unpaired electron" if electrons == 1 else f"{electrons} unpaired electrons"
            yield Fault(f"{_names(mol, (atom.GetIdx(),))} has {number}", (atom.GetIdx(),))


def fragments(mol: Chem.Mol) -> Iterator[Fault]:
    """Find what is not bonded to the largest part, and a hydrogen that is alone."""
    largest, *others = sorted(Chem.GetMolFrags(mol), key=len, reverse=True) or [()]
    lone_hydrogen = len(largest) == 1 and not others and _implicit_hydrogen(mol.GetAtomWithIdx(largest[0]))
    for atoms in [largest] if lone_hydrogen else others:
        names, verb = _names(mol, atoms), "is" if len(atoms) == 1 else "are"
        yield Fault(f"{names} {verb} not bonded to the rest" if others else f"{names} is bonded to nothing", atoms)


def missing_hydrogens(mol: Chem.Mol) -> Iterator[Fault]:
    """Find the atoms that lack hydrogens which are written elsewhere in the same molecule.

    To leave out all, all but the polar, or all but the polar and aromatic ones is a convention, and so is to write
    the charge of protonated atoms without their added hydrogens. The convention is the one with the fewest
    exceptions. An atom that has only some of its hydrogens lacks the others in any.
    """
    heavy = [atom for atom in atoms_of(mol) if atom.GetAtomicNum() != 1]
    if not any(atom.GetTotalNumHs() for atom in heavy):
        return
    given: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    lacking: dict[int, tuple[list[str], bool]] = {}  # what an atom lacks, and whether others are there
    for atom in heavy:
        n_given, n_missing = _n_given(atom), atom.GetTotalNumHs()
        kinds = _kinds(atom, n_given + n_missing)
        given.update(kinds[:n_given])
        if n_missing:
            missing.update(kinds[n_given:])
            lacking[atom.GetIdx()] = kinds[n_given:], n_given > 0

    def exceptions(kept: frozenset[str]) -> int:
        """Count twice what is there against the convention: what leaves out hydrogens is a program."""
        against = sum(n for kind, n in given.items() if kind not in kept)
        return 2 * against + sum(n for kind, n in missing.items() if kind in kept)

    convention = min(_CONVENTIONS, key=exceptions)
    for index, (kinds, has_others) in lacking.items():
        number = sum(kind in convention or (has_others and kind != _PROTON) for kind in kinds)
        if number:
            lacks = "a hydrogen" if number == 1 else f"{number} hydrogens"
            yield Fault(f"{_names(mol, (index,))} lacks {lacks}, while others are there", (index,))


def hydrogens_beyond_valence(mol: Chem.Mol) -> Iterator[Fault]:
    """Find hypervalent neutral atoms with hydrogens that only a missing charge, or one bond too many, calls for."""
    for atom in atoms_of(mol):
        normal = _NORMAL_VALENCE.get(atom.GetAtomicNum())
        if normal is None or atom.GetFormalCharge() or not atom.GetTotalNumHs(includeNeighbors=True):
            continue
        if 2 * atom.GetTotalDegree() - atom.GetTotalValence() > normal:  # sigma less pi bonds
            yield Fault(
                f"{_names(mol, (atom.GetIdx(),))} has {atom.GetTotalDegree()} neighbours, hydrogens with them, "
                "and no charge",
                (atom.GetIdx(),),
            )


def _valence_exceeded(atom: Chem.Atom) -> Fault:
    valence = sum(bond.GetBondTypeAsDouble() for bond in atom.GetBonds()) + atom.GetNumExplicitHs()
    charge = f"with charge {atom.GetFormalCharge():+d}" if atom.GetFormalCharge() else "without a charge"
    words = f"{atom.GetSymbol()}{atom.GetIdx()} has valence {valence:g}, more than it can have {charge}"
    return Fault(words, (atom.GetIdx(),))


def _kinds(atom: Chem.Atom, number: int) -> list[str]:
    """Name the kind of each hydrogen of an atom, those that its charge adds last."""
    if atom.GetAtomicNum() == 6:
        return [_AROMATIC if atom.GetIsAromatic() else _ALIPHATIC] * number
    added = min(number, max(0, atom.GetFormalCharge()))
    return [_POLAR] * (number - added) + [_PROTON] * added


def _n_given(atom: Chem.Atom) -> int:
    """Count the hydrogens that tell of a convention: readers keep isotopes and those of imines where none else is."""
    if atom.GetAtomicNum() == 7 and any(bond.GetBondType() == Chem.BondType.DOUBLE for bond in atom.GetBonds()):
        return 0
    return sum(other.GetAtomicNum() == 1 and not other.GetIsotope() for other in atom.GetNeighbors())


def _implicit_hydrogen(atom: Chem.Atom) -> bool:
    return atom.GetAtomicNum() == 1 and atom.GetDegree() == 0 and atom.GetNumExplicitHs() == 0


def _names(mol: Chem.Mol, atoms: tuple[int, ...]) -> str:
    """Write C1, C2 and 5 more."""
    shown = [f"{mol.GetAtomWithIdx(atom).GetSymbol()}{atom}" for atom in atoms[:6]]
    more = f"{len(atoms) - len(shown)} more" if len(atoms) > len(shown) else shown.pop() if len(shown) > 1 else ""
    return " and ".join(filter(None, (", ".join(shown), more)))
