"""What molebm can work on, and the hydrogens it needs."""

from __future__ import annotations

from typing import Final

from rdkit import Chem

from molebm.chem.sanity import fragments, unpaired_electrons
from molebm.chem.walking import atoms_of, bonds_of
from molebm.errors import GraphError, MoleculeError
from molebm.topology import ELEMENTS

_ELEMENTS: Final = frozenset(ELEMENTS)
_BOND_TYPES: Final = frozenset(
    (Chem.BondType.SINGLE, Chem.BondType.DOUBLE, Chem.BondType.TRIPLE, Chem.BondType.AROMATIC)
)


def check_molecule(mol: Chem.Mol) -> None:
    """Refuse what no energy here is made for.

    Raises
    ------
    MoleculeError
        If the molecule is empty or has dummy atoms, queries, elements or bond types that are not known. The
        message names the first, counting from 0.
    GraphError
        If all are known, but electrons are unpaired, or there are several fragments.
    """
    if mol.GetNumAtoms() == 0:
        raise MoleculeError("the molecule has no atoms; give a structure with at least one")
    for atom in atoms_of(mol):
        if atom.GetAtomicNum() not in _ELEMENTS or atom.HasQuery():
            raise _objection_to_atom(atom)
    for bond in bonds_of(mol):
        if bond.GetBondType() not in _BOND_TYPES or bond.HasQuery():
            raise _objection_to_bond(bond)
    if radicals := tuple(unpaired_electrons(mol)):
        atom = mol.GetAtomWithIdx(radicals[0].atoms[0])
        electrons = atom.GetNumRadicalElectrons()
        number = "an unpaired electron" if electrons == 1 else f"{electrons} unpaired electrons"
        message = f"{_place(atom)} has {number}; add the missing hydrogens, bonds or charge"
        raise GraphError(message, (*radicals, *fragments(mol)))
    if apart := tuple(fragments(mol)):
        count = len(Chem.GetMolFrags(mol))
        message = f"{Chem.MolToSmiles(mol)!r} has {count} fragments; keep one of them (drop salts and solvent)"
        raise GraphError(message, apart)


def prepare_molecule(mol: Chem.Mol) -> Chem.Mol:
    """Check the molecule and return it with every hydrogen explicit and its declared stereo kept.

    New hydrogens follow the atoms that are there, and are placed in every conformer. Conformers
    in two dimensions are drawings, not coordinates, and are left out.

    Raises
    ------
    MoleculeError
        As `check_molecule`.
    """
    check_molecule(mol)
    return with_hydrogens(mol)


def with_hydrogens(mol: Chem.Mol) -> Chem.Mol:
    """Do what `prepare_molecule` does for a molecule that is checked."""
    spatial = Chem.Mol(mol)
    for conformer in mol.GetConformers():
        if not conformer.Is3D():
            spatial.RemoveConformer(conformer.GetId())
    return Chem.AddHs(spatial, addCoords=True)


def _objection_to_atom(atom: Chem.Atom) -> MoleculeError:
    place = _place(atom)
    if atom.GetAtomicNum() == 0:
        return MoleculeError(f"{place} stands for any atom; put a real one in its place")
    if atom.HasQuery():
        return MoleculeError(f"{place} is a query; replace it by one element, as in a plain structure")
    table = Chem.GetPeriodicTable()
    known = " ".join(table.GetElementSymbol(number) for number in ELEMENTS)
    return MoleculeError(f"{place} is an element that is not known; known are {known}: leave this molecule out")


def _place(atom: Chem.Atom) -> str:
    return f"atom {atom.GetIdx()} ({atom.GetSymbol()})"


def _objection_to_bond(bond: Chem.Bond) -> MoleculeError:
    place = f"the bond of atoms {bond.GetBeginAtomIdx()} and {bond.GetEndAtomIdx()}"
    if bond.HasQuery():
        return MoleculeError(f"{place} is a query; make it single, double, triple or aromatic")
    kind = str(bond.GetBondType()).lower()
    return MoleculeError(f"{place} is {kind}; make it single, double, triple or aromatic, with formal charges")
