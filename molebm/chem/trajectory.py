"""Trajectories of molecular dynamics as records, one for each frame."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
from rdkit import Chem

from molebm.chem.frames import Frame, check_trajectory, mdtraj_module, read_frames
from molebm.chem.parsing import mol_from_pdb
from molebm.chem.reading import Record, template_molecule
from molebm.chem.systems import System, bonds_among, choose_atoms, joins_all, read_system
from molebm.chem.wrapping import Steps, made_whole, steps_along, steps_between_nearest
from molebm.errors import MoleculeError, RequestError

_LOOK_AHEAD: Final = 100  # frames among which a finite one is sought
_TWO_LETTERS: Final = {"Cl", "Br", "Si", "Se"}  # which .gro files write like the atoms C, B and S


def read_trajectory(
    path: str | Path,
    *,
    topology: str | Path,
    template: str | None = None,
    selection: str | None = None,
    stride: int = 1,
) -> Iterator[Record]:
    """Stream one molecule of a trajectory, a record for each frame; memory does not grow with their number.

    The frames share their atoms, bonds and declared stereo. A molecule that a periodic box has cut is made
    whole along its bonds. Coordinates that are not finite are given as they are; a file that breaks off gives
    its whole frames, and then one record that says so.

    Parameters
    ----------
    path
        Any trajectory of MDTraj: .xtc .trr .dcd .nc .h5 .lh5 .pdb .gro .xyz and more.
    topology
        Of all atoms of the trajectory: what MDTraj reads, .pdb .gro .prmtop .psf ..., or an .sdf .mol or .mol2
        file with one molecule, whose chemistry is taken as it stands.
    template
        SMILES of the molecule, which topologies but those files lack. Without it, all hydrogens must be there
        and every valence met by single bonds; declared is the stereo of the first frame.
    selection
        In the language of MDTraj; without it, what is neither water nor ion if it is one molecule, otherwise
        the one residue that is not of protein or nucleic acid.
    stride
        Every how many frames are given; they keep their number in the trajectory as their name.

    Raises
    ------
    RequestError
        At once, if a file is missing or of no known kind, MDTraj is not installed, or the selection is not one
        molecule; with the first record, if the atoms do not match the topology or the template.
    """
    path, topology = Path(path), Path(topology)
    if stride < 1:
        raise RequestError(f"the stride is {stride}; it must be at least 1")
    check_trajectory(path)
    mdtraj_module(path)
    declared = template_molecule(template)
    system = read_system(topology)
    if system.mol is not None and declared is not None:
        raise RequestError(f"topology '{topology}' states its own chemistry; leave the template out")
    atoms = choose_atoms(system, selection)
    return _records(path, system, atoms, declared, stride)


class _Molecule(NamedTuple):
    """What all frames share."""

    mol: Chem.Mol  # without conformers
    kept: list[int]  # places of its atoms among those chosen
    steps: Steps  # among those chosen


def _records(path: Path, system: System, atoms: list[int], template: Chem.Mol | None, stride: int) -> Iterator[Record]:
    frames = read_frames(path, system.topology, atoms)
    ahead = list(islice(frames, _LOOK_AHEAD))
    if not ahead:
        raise RequestError(f"trajectory '{path}' holds no frames; check that it is the right file")
    whole = [frame for frame in ahead if frame.error is None]
    molecule = None
    if whole:
        finite = (frame for frame in whole if np.isfinite(frame.positions).all())
        molecule = _molecule(system, atoms, next(finite, None) or _frame_of(system, atoms), template)
    index = 0
    for number, frame in enumerate(chain(ahead, frames)):
        name = f"frame {number}"
        if frame.error is not None or molecule is None:
            yield Record(index, name, f"{path.name} {name}", None, frame.error)
        elif number % stride == 0:
            yield Record(index, name, f"{path.name} {name}", _at(molecule, frame, name), None)
            index += 1


def _frame_of(system: System, atoms: list[int]) -> Frame:
    """Return the coordinates of the topology, in place of frames that are all broken."""
    if system.positions is None or not np.isfinite(system.positions[atoms]).all():
        return Frame(np.full((len(atoms), 3), np.nan), None)
    return Frame(system.positions[atoms], system.cell)


def _at(molecule: _Molecule, frame: Frame, name: str) -> Chem.Mol:
    positions = made_whole(frame.positions, frame.cell, molecule.steps)[molecule.kept]
    mol = Chem.Mol(molecule.mol)
    conformer = Chem.Conformer(len(positions))
    conformer.Set3D(True)
    conformer.SetPositions(positions)
    mol.AddConformer(conformer, assignId=True)
    mol.SetProp("_Name", name)
    return mol


def _molecule(system: System, atoms: list[int], first: Frame, template: Chem.Mol | None) -> _Molecule:
    if system.mol is not None:
        pairs = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx()) for b in system.mol.GetBonds()]
        return _Molecule(_bare(system.mol), list(range(len(atoms))), steps_along(len(atoms), pairs))
    symbols = _symbols(system, atoms, template)
    bonds = bonds_among(system.topology, atoms)
    if not joins_all(len(atoms), bonds):
        bonds = _bonds_by_distance(system, atoms, first, symbols)
    steps = steps_along(len(atoms), bonds)
    positions = made_whole(first.positions, first.cell, steps)
    try:
        mol = mol_from_pdb(_pdb_text(system, atoms, symbols, positions), template, bonds)
    except MoleculeError as error:
        residues = ", ".join(dict.fromkeys(str(system.topology.atom(atom).residue) for atom in atoms[:_LOOK_AHEAD]))
        found = "".join(f"{symbol}{number}" for symbol, number in sorted(Counter(symbols).items()))
        raise RequestError(f"the atoms selected, {found} of {residues}: {error}") from error
    kept = list(range(len(atoms)))
    if mol.GetNumAtoms() != len(atoms):  # only some hydrogens are there, and all are left out
        kept = [place for place, symbol in enumerate(symbols) if symbol != "H"]
    return _Molecule(_bare(mol), kept, steps)


def _bonds_by_distance(system: System, atoms: list[int], first: Frame, symbols: Sequence[str]) -> list[tuple[int, int]]:
    """Find which atoms are bonded where the topology has coordinates, otherwise in the first frame."""
    stated = _frame_of(system, atoms)
    positions, cell, _ = stated if np.isfinite(stated.positions).all() else first
    if not np.isfinite(positions).all():
        raise RequestError(
            f"the topology states no bonds, and the first {_LOOK_AHEAD} frames have coordinates that are not finite; "
            "give a topology in PDB"
        )
    whole = made_whole(positions, cell, steps_between_nearest(positions, cell))
    mol = Chem.MolFromPDBBlock(_pdb_text(system, atoms, symbols, whole), sanitize=False, removeHs=False)
    return [(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx()) for bond in mol.GetBonds()]


def _pdb_text(system: System, atoms: list[int], symbols: Sequence[str], positions: np.ndarray) -> str:
    positions = np.nan_to_num(positions - positions.mean(axis=0))
    rows = []
    for place, (index, symbol) in enumerate(zip(atoms, symbols, strict=True)):
        atom = system.topology.atom(index)
        x, y, z = positions[place]
        name = atom.name[:4] if len(atom.name) >= 4 or len(symbol) > 1 else f" {atom.name}"
        rows.append(
            f"ATOM  {place % 99999 + 1:5d} {name:<4} {atom.residue.name[:3]:>3} A{atom.residue.index % 9999 + 1:4d}    "
            f"{x:8.3f}{y:8.3f}{z:8.3f}  1.00  0.00          {symbol.upper():>2}"
        )
    return "\n".join([*rows, "END\n"])


def _symbols(system: System, atoms: list[int], template: Chem.Mol | None) -> list[str]:
    """Return the elements; where names alone tell them, chlorine is not taken for carbon if the template has it."""
    chosen = [system.topology.atom(index) for index in atoms]
    symbols = [atom.element.symbol for atom in chosen]
    if template is None:
        return symbols
    needed = Counter(atom.GetSymbol() for atom in template.GetAtoms() if atom.GetAtomicNum() > 1)
    starts = [atom.name[:2].capitalize() for atom in chosen]
    longer = [start if start in _TWO_LETTERS else symbol for start, symbol in zip(starts, symbols, strict=True)]
    return longer if Counter(symbol for symbol in longer if symbol != "H") == needed else symbols


def _bare(mol: Chem.Mol) -> Chem.Mol:
    bare = Chem.Mol(mol)
    bare.RemoveAllConformers()
    return bare
