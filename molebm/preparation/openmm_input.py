"""Molecules with an OpenMM system of their own: capped dipeptides that molebm builds, or what a user brings."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import openmm
from rdkit import Chem

from molebm.chem.reading import read_molecules
from molebm.errors import RequestError
from molebm.references.peptides import capped_dipeptide, peptide_system


class OpenMMMolecule(NamedTuple):
    """A molecule with explicit hydrogens and an OpenMM system of its atoms, in the same order."""

    name: str
    mol: Chem.Mol  # its conformers, if it has any, are where the first runs start
    system: openmm.System  # any forces, no constraints
    split: str = "train"


def dipeptide(residue: str, solvent: str, split: str = "train") -> OpenMMMolecule:
    """Build ACE-X-NME with Amber ff14SB and a solvent, as `peptide_system` does."""
    mol = capped_dipeptide(residue)
    return OpenMMMolecule(f"ACE-{residue}-NME", mol, peptide_system(mol, solvent), split)


def read_system(system: Path, structure: Path) -> OpenMMMolecule:
    """Read a serialised system and the structure of its atoms, in the same order and with all hydrogens.

    Further records of the structure file are further conformers of the molecule. The name is that of the file.

    Raises
    ------
    RequestError
        If a file cannot be read, or a record is not the molecule of the first.
    """
    try:
        loaded = openmm.XmlSerializer.deserialize(system.read_text())
    except (OSError, UnicodeDecodeError, openmm.OpenMMException, ValueError) as error:
        raise RequestError(f"cannot read a system from '{system}': {error}; write it with XmlSerializer") from error
    if not isinstance(loaded, openmm.System):
        raise RequestError(f"'{system}' holds a {type(loaded).__name__} and not a System")
    mol = None
    for record in read_molecules(structure, models="together"):
        if record.mol is None:
            raise RequestError(f"'{structure}': {record.error}")
        if mol is None:
            mol = Chem.Mol(record.mol)
        elif _atoms_and_bonds(record.mol) != _atoms_and_bonds(mol):
            raise RequestError(f"{record.source} is not the molecule of the first record; give one molecule a file")
        else:
            for conformer in record.mol.GetConformers():
                mol.AddConformer(conformer, assignId=True)
    return OpenMMMolecule(structure.stem, mol, loaded)


def check_system(molecule: OpenMMMolecule) -> None:
    """See that a system is of its molecule's atoms in their order, as far as a system tells.

    Raises
    ------
    RequestError
        If the name cannot be that of a file, the numbers of atoms differ, a distance is constrained, or atoms
        are bonded that are not in the molecule.
    """
    name, mol, system = molecule.name, molecule.mol, molecule.system
    if Path(name).name != name:
        raise RequestError(f"{name!r} cannot name a file; choose a name without slashes")
    if mol.GetNumAtoms() != system.getNumParticles():
        raise RequestError(
            f"{name}: the molecule has {mol.GetNumAtoms()} atoms and the system {system.getNumParticles()} particles; "
            "give both all hydrogens and no solvent molecules"
        )
    if system.getNumConstraints():
        raise RequestError(
            f"{name}: the system constrains {system.getNumConstraints()} distances, and the bonds of the learned "
            "energy are flexible; create the system with constraints=None"
        )
    bonded = {frozenset((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in mol.GetBonds()}
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            for index in range(force.getNumBonds()):
                pair = force.getBondParameters(index)[:2]
                if frozenset(pair) not in bonded:
                    raise RequestError(
                        f"{name}: the system bonds the atoms {pair[0]} and {pair[1]} and the molecule does not; "
                        "give both the same atoms in the same order"
                    )


def _atoms_and_bonds(mol: Chem.Mol) -> tuple[list[int], set[frozenset[int]]]:
    bonds = {frozenset((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in mol.GetBonds()}
    return [atom.GetAtomicNum() for atom in mol.GetAtoms()], bonds
