"""Ensembles as trajectories of MDTraj, in memory and as files with a topology beside them."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from itertools import chain, groupby, islice
from pathlib import Path
from typing import Any, Final

import numpy as np
from rdkit import Chem

from molebm.chem.frames import mdtraj_module
from molebm.chem.reading import Record
from molebm.chem.text_files import extension
from molebm.conformers.outcomes import Ensemble
from molebm.errors import MoleculeError, RequestError

TRAJECTORIES: Final = (".dcd", ".xtc", ".trr", ".h5")
RESIDUE: Final = "LIG"
NM: Final = 0.1  # per Å
_ORDERS: Final = {Chem.BondType.SINGLE: 1, Chem.BondType.DOUBLE: 2, Chem.BondType.TRIPLE: 3}


def to_mdtraj(ensemble: Ensemble | Chem.Mol) -> Any:
    """Return the conformers as an `mdtraj.Trajectory`, a frame for each in their order, its time their number in ps.

    The molecule is one residue LIG with atoms C1, C2, H1, ... in its order, and bonds with their types.

    Raises
    ------
    MoleculeError
        If there is no conformer.
    RequestError
        If MDTraj is not installed.
    """
    mol = ensemble.mol if isinstance(ensemble, Ensemble) else ensemble
    mdtraj = mdtraj_module(Path(RESIDUE))
    frames = [conformer.GetPositions() for conformer in mol.GetConformers()]
    if not frames:
        raise MoleculeError(f"{Chem.MolToSmiles(mol)!r} has no conformers; generate them first")
    return mdtraj.Trajectory(np.stack(frames).astype(np.float32) * NM, mdtraj_topology(mol))


def mdtraj_topology(mol: Chem.Mol) -> Any:
    """Return the `mdtraj.Topology` of a molecule, see `to_mdtraj`."""
    mdtraj = mdtraj_module(Path(RESIDUE))
    kinds = {
        Chem.BondType.SINGLE: mdtraj.core.topology.Single,
        Chem.BondType.DOUBLE: mdtraj.core.topology.Double,
        Chem.BondType.TRIPLE: mdtraj.core.topology.Triple,
        Chem.BondType.AROMATIC: mdtraj.core.topology.Aromatic,
    }
    topology = mdtraj.Topology()
    residue = topology.add_residue(RESIDUE, topology.add_chain())
    counts: dict[str, int] = {}
    atoms = []
    for atom in mol.GetAtoms():
        symbol = atom.GetSymbol()
        counts[symbol] = counts.get(symbol, 0) + 1
        element = mdtraj.element.get_by_symbol(symbol)
        atoms.append(topology.add_atom(f"{symbol}{counts[symbol]}", element, residue))
    for bond in mol.GetBonds():
        ends = atoms[bond.GetBeginAtomIdx()], atoms[bond.GetEndAtomIdx()]
        kind = bond.GetBondType()
        topology.add_bond(*ends, type=kinds.get(kind), order=_ORDERS.get(kind))
    return topology


def write_trajectory(path: Path, ensemble: Ensemble | Chem.Mol, *, force: bool = False) -> Path:
    """Write the conformers as .dcd .xtc .trr or .h5 and a PDB file of the first beside it, and return its path.

    Each file is complete or not there. XTC rounds to 0.01 Å, the others keep single precision.

    Raises
    ------
    RequestError
        If a file exists and `force` is off, the kind is unknown, or PyTables is missing for HDF5.
    MoleculeError
        As `to_mdtraj`.
    """
    check_trajectory_output(path, force=force)
    topology = topology_path(path)
    frames = to_mdtraj(ensemble)
    for target, part in ((topology, frames[:1]), (path, frames)):
        hidden = target.with_name(f".{secrets.token_hex(4)}.part{target.suffix.lower()}")
        try:
            part.save(str(hidden))
            os.replace(hidden, target)
        finally:
            hidden.unlink(missing_ok=True)
    return topology


def topology_path(path: Path) -> Path:
    """Name the topology of a trajectory."""
    return path.with_suffix(".pdb")


def check_trajectory_output(path: Path, *, force: bool = False) -> None:
    """Look before any work is done whether a trajectory can be written there; see `write_trajectory`."""
    if extension(path) not in TRAJECTORIES:
        raise RequestError(f"trajectory '{path}' is of an unknown kind; known are {' '.join(TRAJECTORIES)}")
    mdtraj_module(path)
    for target in (path, topology_path(path)):
        if target.exists() and not force:
            raise RequestError(f"output '{target}' exists; name another file, or overwrite it with --force")
    if not path.parent.is_dir():
        raise RequestError(f"folder '{path.parent}' of output '{path.name}' does not exist; create it first")


def ensembles_of(records: Iterable[Record]) -> Iterator[Chem.Mol]:
    """Gather conformers that follow one another and are one molecule, name and atoms alike, as one molecule each.

    Records without a molecule are left out.
    """
    read = ((record.name, record.mol) for record in records if record.mol is not None)
    for _, group in groupby(read, key=lambda one: _identity(*one)):
        (_, first), *others = group
        for _, other in others:
            for conformer in other.GetConformers():
                first.AddConformer(conformer, assignId=True)
        yield first


def write_trajectories(mols: Iterator[Chem.Mol], path: Path, *, force: bool = False) -> int:
    """Write a trajectory for each molecule and return their number; see `write_trajectory`.

    A single one has the name given, several a number before the extension: conformers-1.dcd with conformers-1.pdb.
    """
    first = list(islice(mols, 2))
    if len(first) == 1:
        write_trajectory(path, first[0], force=force)
        return 1
    number = 0
    for number, mol in enumerate(chain(first, mols), start=1):
        write_trajectory(path.with_name(f"{path.stem}-{number}{path.suffix}"), mol, force=force)
    return number


def _identity(name: str, mol: Chem.Mol) -> tuple[str, tuple[int, ...], tuple[tuple[int, int], ...]]:
    bonds = tuple((bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds())
    return name, tuple(atom.GetAtomicNum() for atom in mol.GetAtoms()), bonds
