"""What a trajectory is of, and the atoms of it that are one molecule."""

from __future__ import annotations

from collections import Counter, deque
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final, NamedTuple

import numpy as np
from rdkit import Chem

from molebm.chem.frames import UNREADABLE, mdtraj_module, quietly, read_frames
from molebm.chem.pdb_models import pdb_coordinates, pieces
from molebm.chem.reading import read_molecules
from molebm.chem.text_files import extension, open_text
from molebm.errors import RequestError

_STATE_THEIR_CHEMISTRY: Final = (".sdf", ".sd", ".mol", ".mol2")
_WITH_COORDINATES: Final = (".pdb", ".cif", ".mmcif", ".pdbx", ".h5", ".hdf5", ".lh5")
_SALTS: Final = {"SO4", "PO4", "NO3", "ACT", "SCN", "CO3", "NH4"}
_UNKNOWN: Final = {"UNK", "UNL"}  # MDTraj counts the first as protein
_VIRTUAL: Final = "VS"
_N_NAMED: Final = 8  # residues in a message


class System(NamedTuple):
    """All atoms of the frames of a trajectory."""

    topology: Any  # of MDTraj
    positions: np.ndarray | None  # (n, 3) Å, if the file has them
    cell: np.ndarray | None  # (3, 3) Å
    mol: Chem.Mol | None  # its chemistry, if the file states it


def read_system(path: Path) -> System:
    """Read a topology as MDTraj does, or the one molecule of an .sdf .mol or .mol2 file.

    Raises
    ------
    RequestError
        If the file does not exist, cannot be read, or holds several molecules.
    """
    if not path.is_file():
        raise RequestError(f"topology '{path}' does not exist; check the path")
    if extension(path) in _STATE_THEIR_CHEMISTRY:
        return _stated(path)
    mdtraj = mdtraj_module(path)
    try:
        if extension(path) == ".pdb":
            frame = _first_model(path)
        elif extension(path) in _WITH_COORDINATES:
            frame = quietly(lambda: mdtraj.load_frame(str(path), 0))
        else:
            return _without_coordinates(path)
    except UNREADABLE as error:
        raise RequestError(f"topology '{path}' cannot be read: {error}; write it again, as PDB for example") from error
    cell = None if frame.unitcell_vectors is None else frame.unitcell_vectors[0] * 10.0
    return System(frame.topology, frame.xyz[0].astype(np.float64) * 10.0, cell, None)


def choose_atoms(system: System, selection: str | None) -> list[int]:
    """Return the atoms of the selection, in MDTraj's language, or of the one molecule that must be meant.

    That is all that is neither water nor ion, if it is bonded together; otherwise the one residue that is not
    of protein or nucleic acid either. Virtual sites are left out.

    Raises
    ------
    RequestError
        If the selection is none, holds no atoms, or cuts a bond; without one, if several molecules may be meant.
    """
    if system.mol is not None:
        if selection is not None:
            raise RequestError(
                "the topology is one molecule; leave the selection out, or give that of the whole system"
            )
        return list(range(system.topology.n_atoms))
    if selection is None:
        return _only_molecule(system.topology)
    try:
        chosen = system.topology.select(selection)
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise RequestError(
            f"{selection!r} is no selection of MDTraj: {reason}; write for example 'resname LIG'"
        ) from error
    atoms = _real(system.topology.atom(int(index)) for index in chosen)
    if not atoms:
        raise RequestError(f"{selection!r} selects no atoms; the topology has the residues {_names(system.topology)}")
    _check_whole(system.topology, set(atoms), repr(selection))
    return atoms


def bonds_among(topology: Any, atoms: list[int]) -> list[tuple[int, int]]:
    """Return the bonds that a topology states, as places in `atoms`; the list may lack some."""
    place = {atom: index for index, atom in enumerate(atoms)}
    pairs = ((a.index, b.index) for a, b in topology.bonds)
    return [(place[a], place[b]) for a, b in pairs if a in place and b in place]


def joins_all(n_atoms: int, bonds: list[tuple[int, int]]) -> bool:
    """Say whether the bonds make one molecule of the atoms, so that none of them is missing."""
    near: list[list[int]] = [[] for _ in range(n_atoms)]
    for a, b in bonds:
        near[a].append(b)
        near[b].append(a)
    seen, waiting = {0}, deque([0])
    while waiting:
        for there in near[waiting.popleft()]:
            if there not in seen:
                seen.add(there)
                waiting.append(there)
    return len(seen) == n_atoms


def _stated(path: Path) -> System:
    first, *more = islice(read_molecules(path), 2)
    if first.mol is None:
        raise RequestError(f"topology: {first.source}: {first.error}")
    if more:
        raise RequestError(f"topology '{path}' holds several molecules; keep the one of the trajectory")
    mdtraj = mdtraj_module(path)
    topology = mdtraj.Topology()
    residue = topology.add_residue("LIG", topology.add_chain())
    for atom in first.mol.GetAtoms():
        symbol = atom.GetSymbol()
        topology.add_atom(f"{symbol}{atom.GetIdx()}", mdtraj.element.get_by_symbol(symbol), residue)
    return System(topology, None, None, first.mol)


def _first_model(path: Path) -> Any:
    """Read the first model alone: MDTraj reads them all."""
    with open_text(path) as lines:
        text = next((piece.text for piece in pieces(lines)), "")
    if len(positions := pdb_coordinates(text)) == 0 or not np.isfinite(positions).all():
        raise ValueError("its first model has no atoms, or coordinates that are no numbers")
    with TemporaryDirectory() as folder:
        file = Path(folder) / "first.pdb"
        file.write_text(text, encoding="utf-8")
        return quietly(lambda: mdtraj_module(path).load_frame(str(file), 0))


def _without_coordinates(path: Path) -> System:
    topology = quietly(lambda: mdtraj_module(path).load_topology(str(path)))
    if extension(path) != ".gro":
        return System(topology, None, None, None)
    frame = next(read_frames(path, topology, range(topology.n_atoms)))
    return System(topology, None if frame.error else frame.positions, frame.cell, None)


def _only_molecule(topology: Any) -> list[int]:
    solute = [residue for residue in topology.residues if not _is_solvent(residue)]
    whole = _real(atom for residue in solute for atom in residue.atoms)
    if len(solute) == 1 or (whole and joins_all(len(whole), bonds_among(topology, whole))):
        return whole
    unusual = [r for r in solute if r.name in _UNKNOWN or not (r.is_protein or r.is_nucleic)]
    if len(unusual) == 1:
        atoms = _real(unusual[0].atoms)
        _check_whole(topology, set(atoms), f"residue {unusual[0]}")
        return atoms
    problem = "several residues may be meant" if unusual else "no residue is of anything but protein, water and ions"
    raise RequestError(
        f"{problem}: {_names(topology)}; give the selection of one molecule, for example 'resname LIG' or 'resid 0'"
    )


def _is_solvent(residue: Any) -> bool:
    atoms = [atom for atom in residue.atoms if _symbol(atom) != _VIRTUAL]
    formula = sorted(map(_symbol, atoms))
    return residue.is_water or formula == ["H", "H", "O"] or len(atoms) <= 1 or residue.name in _SALTS


def _check_whole(topology: Any, chosen: set[int], what: str) -> None:
    for a, b in topology.bonds:
        if (a.index in chosen) != (b.index in chosen) and _VIRTUAL not in (_symbol(a), _symbol(b)):
            raise RequestError(f"{what} ends at the bond {a} to {b}; select whole molecules")


def _names(topology: Any) -> str:
    counts = Counter(residue.name for residue in topology.residues)
    told = [f"{name} ({number})" if number > 1 else name for name, number in counts.most_common()[::-1][:_N_NAMED]]
    return ", ".join(told) + (", ..." if len(counts) > _N_NAMED else "")


def _real(atoms: Any) -> list[int]:
    return [atom.index for atom in atoms if _symbol(atom) != _VIRTUAL]


def _symbol(atom: Any) -> str:
    return _VIRTUAL if atom.element is None else atom.element.symbol
