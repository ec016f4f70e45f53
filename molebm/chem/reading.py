"""Molecules from files or the command line, one record at a time: a bad one is reported, not dropped."""

from __future__ import annotations

import csv
import itertools
import os
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final, Literal, TextIO, TypeAlias

from rdkit import Chem

from molebm.chem.parsing import Entry, mol_from_mol2, mol_from_sdf, mol_from_smiles
from molebm.chem.pdb_models import entries_apart, entries_together
from molebm.chem.text_files import extension, open_text
from molebm.errors import Fault, GraphError, MoleculeError, RequestError

Models: TypeAlias = Literal["apart", "together"]
_NAME_COLUMNS: Final = ("name", "id", "title", "identifier")
_CX_EXTENSION: Final = re.compile(r"\|[^|]*\|")


@dataclass(frozen=True, slots=True)
class Record:
    """One molecule of the input, or why there is none: exactly one of `mol` and `error` is None."""

    index: int  # counts from 0, failed records too
    name: str
    source: str  # the SMILES, or where it was found: 'file.sdf record 3'
    mol: Chem.Mol | None
    error: str | None
    faults: tuple[Fault, ...] = ()  # of a record that was read, and whose atoms and bonds are no molecule


def read_molecules(
    path_or_smiles: str | Path,
    *,
    template: str | None = None,
    wanted: Callable[[int], bool] = lambda index: True,
    models: Models = "apart",
) -> Iterator[Record]:
    """Stream the molecules of a file, or the one SMILES that is given in place of a file.

    Reads .smi .smiles .txt (SMILES, then a name; # starts a comment line), .csv .tsv (a column
    smiles, perhaps one name or id), .sdf .sd .mol .mol2 .pdb, and any of these with .gz. Memory does
    not grow with the file. Coordinates and hydrogens are kept as they are; see `prepare_molecule`.

    Parameters
    ----------
    template
        SMILES of the molecule in a PDB file, which itself holds no bond orders; for PDB only.
    wanted
        Says by the index of a record whether to give it; the others are counted and not parsed.
    models
        Whether each model of a PDB structure is a record, or a conformer of one record; molecule and
        declared stereo are those of the first model in either case.

    Raises
    ------
    RequestError
        At once, if it is neither a file of a known kind nor SMILES; with the first record, if a
        table has no SMILES column; at the end, if the file held no molecules.
    """
    given = str(path_or_smiles)
    path = Path(given)
    suffix = extension(path)
    if template is not None and suffix != ".pdb":
        raise RequestError(f"input '{given}' is not a PDB file and states its own chemistry; leave the template out")
    if suffix in _READERS:
        if not os.path.exists(given):
            raise RequestError(f"input '{given}' does not exist; check the path")
        if not os.access(given, os.R_OK) or path.is_dir():
            raise RequestError(f"input '{given}' is not a file that can be read; check its type and permissions")
        return _records(path, suffix, template_molecule(template), wanted, models)
    try:
        mol_from_smiles(_split_line(given)[0])
    except MoleculeError as error:
        if os.path.exists(given):
            known = " ".join(_READERS)
            raise RequestError(f"input '{given}' is of an unknown kind; known are {known}, also with .gz") from error
        raise RequestError(f"input '{given}' is neither a file nor SMILES: {error}") from error
    smiles, name = _split_line(given)
    entry = Entry(name, smiles, "", partial(mol_from_smiles, smiles))
    return (_record(index, entry) for index in range(1) if wanted(index))


def count_molecules(path_or_smiles: str | Path, *, models: Models = "together") -> int:
    """Count the records of what `read_molecules` reads without parsing one, those up to where a file breaks off.

    The models of a PDB structure are counted as one molecule, unless they are to be read apart.

    Raises
    ------
    RequestError
        As `read_molecules`.
    """
    seen = itertools.count()
    for _ in read_molecules(path_or_smiles, wanted=lambda index: next(seen) < 0, models=models):
        pass
    return next(seen)


def _records(
    path: Path, suffix: str, template: Chem.Mol | None, wanted: Callable[[int], bool], models: Models
) -> Iterator[Record]:
    read = entries_together if suffix == ".pdb" and models == "together" else _READERS[suffix]
    index = 0
    try:
        with open_text(path) as lines:
            for entry in read(lines, path.name, template):
                if wanted(index):
                    yield _record(index, entry)
                index += 1
    except (OSError, EOFError, zlib.error) as error:
        reason = f"reading stopped here, the rest is lost: {error}; copy or compress the file again"
        if wanted(index):
            yield Record(index, f"mol-{index + 1}", str(path), None, reason)
        index += 1
    if index == 0:
        raise RequestError(f"input '{path}' holds no molecules; check that it is the right file")


def _record(index: int, entry: Entry) -> Record:
    name = entry.name or f"mol-{index + 1}"
    try:
        return Record(index, name, entry.source, entry.parse(), None)
    except MoleculeError as error:
        faults = error.faults if isinstance(error, GraphError) else ()
        return Record(index, name, entry.source, None, f"{entry.place}: {error}" if entry.place else str(error), faults)


def _smiles_lines(lines: TextIO, file: str, template: Chem.Mol | None) -> Iterator[Entry]:
    first = True
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("#"):
            continue
        smiles, name = _split_line(line)
        header = first and "smiles" in smiles.lower()
        first = False
        if not header:
            yield Entry(name, smiles, f"{file} line {number}", partial(mol_from_smiles, smiles))


def _table(lines: TextIO, file: str, template: Chem.Mol | None) -> Iterator[Entry]:
    header = lines.readline()
    delimiter = next((mark for mark in "\t;" if mark in header and "," not in header), ",")
    columns = [column.strip() for column in next(csv.reader([header], delimiter=delimiter), [])]
    lowered = [column.lower() for column in columns]
    smiles_columns = [c for c in lowered if c == "smiles"] or [c for c in lowered if "smiles" in c]
    if len(smiles_columns) != 1:
        found = ", ".join(columns) or "none"
        raise RequestError(f"table '{file}' needs one column called smiles; its columns are: {found}")
    smiles_at = lowered.index(smiles_columns[0])
    name_at = next((lowered.index(column) for column in _NAME_COLUMNS if column in lowered), None)
    rows = csv.reader(lines, delimiter=delimiter, strict=True)  # an open quotation mark is told, not guessed
    while True:
        try:
            fields = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            place = f"{file} line {rows.line_num + 1}"
            yield Entry("", place, "", partial(_unreadable, f"{error}; correct the quotation marks up to {place}"))
            continue
        if any(field.strip() for field in fields):
            smiles = fields[smiles_at].strip() if smiles_at < len(fields) else ""
            name = fields[name_at].strip() if name_at is not None and name_at < len(fields) else ""
            yield Entry(name, smiles, f"{file} line {rows.line_num + 1}", partial(mol_from_smiles, smiles))


def _unreadable(reason: str) -> Chem.Mol:
    raise MoleculeError(reason)


def _sdf(lines: TextIO, file: str, template: Chem.Mol | None) -> Iterator[Entry]:
    for number, text in enumerate(_blocks(lines, last=re.compile(r"\$\$\$\$")), start=1):
        yield Entry(text.partition("\n")[0].strip(), f"{file} record {number}", "", partial(mol_from_sdf, text))


def _mol2(lines: TextIO, file: str, template: Chem.Mol | None) -> Iterator[Entry]:
    number = 0
    for text in _blocks(lines, first=re.compile(r"@<TRIPOS>MOLECULE")):
        if text.startswith("@<TRIPOS>MOLECULE"):
            number += 1
            name = text.partition("\n")[2].partition("\n")[0].strip("* \n")
            yield Entry(name, f"{file} record {number}", "", partial(mol_from_mol2, text))


def _blocks(lines: TextIO, *, first: re.Pattern | None = None, last: re.Pattern | None = None) -> Iterator[str]:
    """Cut a file before the lines that match `first`, and after those that match `last`."""
    block: list[str] = []
    for line in lines:
        if first and first.match(line) and block:
            yield "".join(block)
            block = []
        block.append(line)
        if last and last.match(line):
            yield "".join(block)
            block = []
    if any(line.strip() for line in block):
        yield "".join(block)


_READERS: Final = {
    ".smi": _smiles_lines,
    ".smiles": _smiles_lines,
    ".txt": _smiles_lines,
    ".csv": _table,
    ".tsv": _table,
    ".sdf": _sdf,
    ".sd": _sdf,
    ".mol": _sdf,
    ".mol2": _mol2,
    ".pdb": entries_apart,
}


def _split_line(line: str) -> tuple[str, str]:
    """Split into SMILES, with its CXSMILES extension if there is one, and name."""
    smiles, rest = (*line.split(maxsplit=1), "", "")[:2]
    if written := _CX_EXTENSION.match(rest):
        return f"{smiles} {written[0]}", rest[written.end() :].strip()
    return smiles, rest.strip()


def template_molecule(smiles: str | None) -> Chem.Mol | None:
    """Parse the SMILES that gives a structure its chemistry; a wrong one is a RequestError."""
    try:
        return None if smiles is None else mol_from_smiles(smiles)
    except MoleculeError as error:
        raise RequestError(f"template: {error}") from error
