"""Between molecules of RDKit and topologies of OpenMM."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import openmm
from openmm import app
from rdkit import Chem

from molebm.chem.parsing import mol_from_smiles
from molebm.errors import MoleculeError

LIGAND: Final = "LIG"


def openmm_topology(mol: Chem.Mol, residue: str = LIGAND) -> app.Topology:
    """Return a molecule with explicit hydrogens as one residue, its atoms in their order and named C1, C2, H1, ..."""
    topology = app.Topology()
    whole = topology.addResidue(residue, topology.addChain())
    counts: dict[str, int] = {}
    atoms = []
    for atom in mol.GetAtoms():
        symbol = atom.GetSymbol()
        counts[symbol] = counts.get(symbol, 0) + 1
        element = app.Element.getByAtomicNumber(atom.GetAtomicNum())
        atoms.append(topology.addAtom(f"{symbol}{counts[symbol]}", element, whole))
    for bond in mol.GetBonds():
        topology.addBond(atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()])
    return topology


def check_same_atoms(mol: Chem.Mol, topology: app.Topology, atoms: Sequence[int]) -> None:
    """Refuse a molecule whose elements are not those of the atoms of a topology, in their order.

    Raises
    ------
    MoleculeError
        If so, with the first that differs.
    """
    there = list(topology.atoms())
    chosen = [there[index] for index in atoms]
    if mol.GetNumAtoms() != len(chosen):
        raise MoleculeError(
            f"{Chem.MolToSmiles(mol)!r} has {mol.GetNumAtoms()} atoms and {len(chosen)} are to be those of the "
            "topology; give the molecule with all hydrogens, and its atoms alone"
        )
    for atom, place in zip(mol.GetAtoms(), chosen, strict=True):
        if place.element is None or place.element.atomic_number != atom.GetAtomicNum():
            symbol = "a site without an element" if place.element is None else place.element.symbol
            raise MoleculeError(
                f"atom {atom.GetIdx()} of {Chem.MolToSmiles(mol)!r} is {atom.GetSymbol()} and atom {place.index} of "
                f"the topology is {symbol}; bring the atoms into the same order, or give a SMILES"
            )


def molecule_in(topology: app.Topology, atoms: Sequence[int], smiles: str) -> Chem.Mol:
    """Return the molecule of the SMILES with its atoms in the order in which the topology has them.

    It is found by elements and bonds; which of several equivalent atoms is which does not matter to any energy.
    There are no coordinates, and so no stereo.

    Raises
    ------
    MoleculeError
        If the SMILES does not parse, or the atoms are not bonded as it says.
    """
    template = Chem.AddHs(mol_from_smiles(smiles))
    found = _skeleton(topology, atoms).GetSubstructMatch(_uncharged(template))
    if len(found) != template.GetNumAtoms() or len(found) != len(atoms):
        raise MoleculeError(
            f"the {len(atoms)} atoms of the topology are not bonded like {smiles!r} with its hydrogens; check the "
            "SMILES, and that the topology has all bonds (CONECT records, in a PDB file)"
        )
    return Chem.RenumberAtoms(template, sorted(range(len(found)), key=found.__getitem__))


def _skeleton(topology: app.Topology, atoms: Sequence[int]) -> Chem.Mol:
    there, place = list(topology.atoms()), {atom: index for index, atom in enumerate(atoms)}
    site = next((atom for atom in atoms if there[atom].element is None), None)
    if site is not None:
        raise MoleculeError(f"atom {site} of the topology is a site without an element; leave it out")
    inside = ((a.index, b.index) for a, b in topology.bonds() if a.index in place and b.index in place)
    return _graph([there[atom].element.atomic_number for atom in atoms], [(place[a], place[b]) for a, b in inside])


def _uncharged(template: Chem.Mol) -> Chem.Mol:
    bonds = [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in template.GetBonds()]
    return _graph([atom.GetAtomicNum() for atom in template.GetAtoms()], bonds)


def _graph(elements: Sequence[int], bonds: Sequence[tuple[int, int]]) -> Chem.Mol:
    """Make a molecule of what elements and bonds alone say, without orders and charges."""
    mol = Chem.RWMol()
    for element in elements:
        atom = Chem.Atom(element)
        atom.SetNoImplicit(True)
        mol.AddAtom(atom)
    for bond in bonds:
        mol.AddBond(*bond, Chem.BondType.SINGLE)
    return mol.GetMol()


def particles_of(system: openmm.System, atoms: Sequence[int] | None) -> list[int]:
    """Return the places of the atoms, all particles of a system if none are named."""
    return list(range(system.getNumParticles())) if atoms is None else [int(atom) for atom in atoms]
