"""PDB files cut into structures and models, so that one of many is in memory at a time."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache, partial
from typing import Final, NamedTuple, TextIO

import numpy as np
from rdkit import Chem

from molebm.chem.parsing import Entry, mol_from_pdb
from molebm.errors import MoleculeError

_ATOM: Final = ("ATOM", "HETATM")
_END: Final = re.compile(r"END\s*$")
_NAME: Final = re.compile(r"^COMPND {4}(?!MOL_ID)(\S.*)$", re.MULTILINE)


class Piece(NamedTuple):
    """One structure, or one model where a structure has several."""

    structure: int  # counts from 1
    model: int | None  # as the file numbers it; None where a structure has but one
    name: str
    text: str  # with the bonds of the structure
    first: bool  # of its structure


def entries_apart(lines: TextIO, file: str, template: Chem.Mol | None) -> Iterator[Entry]:
    """Give each model of a structure its own record.

    The models of a structure are one molecule: they have the bonds and the declared stereo of the first, so
    that atoms which clash are not taken for bonded. A model with other atoms is read by itself.
    """
    common: Callable[[], _Common | None] = _nothing
    for piece in pieces(lines):
        place = f"{file} record {piece.structure}"
        if piece.model is None:
            yield Entry(piece.name, place, "", partial(mol_from_pdb, piece.text, template))
            continue
        if piece.first:
            common = cache(partial(_common, piece.text, template))  # parsed once, and only when it is wanted
        name, source = f"{piece.name} model {piece.model}".strip(), f"{place} model {piece.model}"
        yield Entry(name, source, "", partial(_mol_of_model, piece.text, template, common))


def entries_together(lines: TextIO, file: str, template: Chem.Mol | None) -> Iterator[Entry]:
    """Give each structure one record, its models as conformers."""
    for number, block in enumerate(_structures(lines), start=1):
        text = "".join(block)
        yield Entry(_name(text), f"{file} record {number}", "", partial(mol_from_pdb, text, template))


def pieces(lines: TextIO) -> Iterator[Piece]:
    """Stream the structures of a file and, where a structure has several models, each of them."""
    bonds = _bonds_of_several(lines)
    number, name, block, first = 1, "", [], True
    for line in lines:
        block.append(line)
        ends = bool(_END.match(line))
        if not ends and not (number in bonds and line.startswith("ENDMDL")):
            continue
        if any(row.startswith(_ATOM) for row in block) or (ends and first):
            name = _name("".join(block)) or name
            yield _piece(number, name, block, first, bonds)
            first = False
        block = []
        if ends:
            number, name, first = number + 1, "", True
    if any(row.startswith(_ATOM) for row in block) or (first and any(row.strip() for row in block)):
        yield _piece(number, _name("".join(block)) or name, block, first, bonds)


def pdb_coordinates(text: str) -> np.ndarray:
    """Return the coordinates of the atoms as they stand, (N, 3) Å; what is no number is NaN."""
    rows = [line for line in text.splitlines() if line.startswith(_ATOM)]
    fields = [[row[at : at + 8] if len(row) >= 54 else "" for at in (30, 38, 46)] for row in rows]
    return np.array([[number_or_nan(field) for field in three] for three in fields]).reshape(-1, 3)


class _Common(NamedTuple):
    """What the models of a structure share."""

    atoms: list[str]
    mol: Chem.Mol  # with one conformer


def _common(text: str, template: Chem.Mol | None) -> _Common | None:
    try:
        return _Common(_atoms(text), mol_from_pdb(text, template))
    except MoleculeError:
        return None


def _nothing() -> None:
    return None


def _mol_of_model(text: str, template: Chem.Mol | None, common: Callable[[], _Common | None]) -> Chem.Mol:
    shared = common()
    atoms = _atoms(text)
    if shared is None or shared.atoms != atoms or shared.mol.GetNumAtoms() != len(atoms):
        return mol_from_pdb(text, template)
    positions = pdb_coordinates(text)
    if not np.isfinite(positions).all():
        broken = int(np.flatnonzero(~np.isfinite(positions).all(axis=1))[0])
        raise MoleculeError(f"a coordinate of atom {broken} is not a finite number; write the model again")
    mol = Chem.Mol(shared.mol)
    mol.GetConformer().SetPositions(positions)
    return mol


def _piece(number: int, name: str, block: list[str], first: bool, bonds: dict[int, str]) -> Piece:
    if number not in bonds:
        return Piece(number, None, name, "".join(block), first)
    written = next((line[5:].split() for line in block if line.startswith("MODEL")), [])
    model = int(written[0]) if written and written[0].isdigit() else 0
    text = "".join(line for line in block if not line.startswith(("CONECT", "END")))
    return Piece(number, model, name, f"{text}{bonds[number]}END\n", first)


def _bonds_of_several(lines: TextIO) -> dict[int, str]:
    """Look ahead for the structures that have several models, and for their bonds, which stand after them."""
    found: dict[int, str] = {}
    if not lines.seekable():
        return found
    with suppress(OSError, EOFError, zlib.error):  # a file that breaks off is told when it is read
        for number, (n_models, connect) in enumerate(_scan(lines), start=1):
            if n_models > 1:
                found[number] = "".join(connect)
    lines.seek(0)
    return found


def _scan(lines: TextIO) -> Iterator[tuple[int, dict[str, None]]]:
    n_models, connect = 0, dict[str, None]()
    try:
        for line in lines:
            if line.startswith("ENDMDL"):
                n_models += 1
            elif line.startswith("CONECT"):
                connect[line] = None
            elif _END.match(line):
                yield n_models, connect
                n_models, connect = 0, {}
    finally:
        yield n_models, connect


def _structures(lines: TextIO) -> Iterator[list[str]]:
    block: list[str] = []
    for line in lines:
        block.append(line)
        if _END.match(line):
            yield block
            block = []
    if any(line.strip() for line in block):
        yield block


def _atoms(text: str) -> list[str]:
    """Serial numbers, names and residues of the atoms, by which models are seen to be of one molecule."""
    return [line[6:27] for line in text.splitlines() if line.startswith(_ATOM)]


def _name(text: str) -> str:
    found = _NAME.search(text)
    return found[1].strip() if found else ""


def number_or_nan(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")
