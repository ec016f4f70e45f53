"""Files that are complete or not there: written under another name, renamed at the end."""

from __future__ import annotations

import csv
import gzip
import io
import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import IO, TypeAlias

from rdkit import Chem

from molebm.errors import MoleculeError, RequestError

Value: TypeAlias = float | str | None
Properties: TypeAlias = Mapping[str, Value]
WriteConformer: TypeAlias = Callable[[Chem.Mol, int, str, Properties], None]
"""Append one conformer: molecule, id of the conformer, name, properties."""
WriteRow: TypeAlias = Callable[[Properties], None]


@contextmanager
def replacing(path: str | Path, *, force: bool = False) -> Iterator[IO[str]]:
    """Open a text file that takes the place of `path` only when the block ends without an error.

    Until then it has a hidden name in the same folder, and is removed if there is an error. It is
    compressed if the name ends in .gz, the same text always to the same bytes. A device such as
    /dev/null is written to directly.

    Raises
    ------
    RequestError
        If `path` exists and `force` is off, is a folder, or its folder cannot be written to.
    """
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise RequestError(f"output '{path}' is a folder; name a file")
    special = target.exists() and not target.is_file()
    if target.exists() and not special and not force:
        raise RequestError(f"output '{path}' exists; name another file, or overwrite it with --force")
    part = target if special else target.with_name(f".{target.name}.{secrets.token_hex(4)}.part")
    try:
        raw = part.open("wb")
    except FileNotFoundError as error:
        raise RequestError(f"folder '{target.parent}' of output '{target.name}' does not exist; create it") from error
    except OSError as error:
        raise RequestError(f"output '{path}' cannot be written: {error.strerror}; choose another folder") from error
    try:
        with raw, _text(raw, compressed=target.suffix.lower() == ".gz") as file:
            yield file
        if not special:
            os.replace(part, target)
    finally:
        if not special:
            part.unlink(missing_ok=True)


@contextmanager
def sdf_writer(path: str | Path, *, force: bool = False) -> Iterator[WriteConformer]:
    """Give the function that appends conformers to an SDF; see `replacing` for when it appears."""
    with replacing(path, force=force) as file:

        def write(mol: Chem.Mol, conformer_id: int, name: str, properties: Properties) -> None:
            file.write(sdf_block(mol, conformer_id, name, properties))

        yield write


@contextmanager
def pdb_writer(path: str | Path, *, force: bool = False) -> Iterator[WriteConformer]:
    """Give the function that appends conformers to a PDB file, as models of one structure.

    A conformer of another molecule or name ends the structure with END and starts the next, its
    models counted from 1. Properties are remarks before their model.
    """
    with replacing(path, force=force) as file:
        last, bonds, model = "", "", 0

        def write(mol: Chem.Mol, conformer_id: int, name: str, properties: Properties) -> None:
            nonlocal last, bonds, model
            lines = Chem.MolToPDBBlock(one_conformer(mol, conformer_id)).splitlines(keepends=True)
            atoms = [line for line in lines if line.startswith(("ATOM", "HETATM"))]
            connect = "".join(line for line in lines if line.startswith("CONECT"))
            structure = name + connect + "".join(line[:27] for line in atoms)
            if structure != last:
                if last:
                    file.write(f"{bonds}END\n")
                file.write(f"COMPND    {one_line(name)}\n")
                last, bonds, model = structure, connect, 0
            model += 1
            file.writelines(f"REMARK     {key} {text_of(value)}\n" for key, value in properties.items())
            file.write(f"MODEL     {model:>4}\n{''.join(atoms)}ENDMDL\n")

        yield write
        file.write(f"{bonds}END\n")


def structure_writer(path: str | Path, *, force: bool = False) -> AbstractContextManager[WriteConformer]:
    """Choose `sdf_writer` or `pdb_writer` by the extension, .sdf .sd or .pdb, perhaps with .gz.

    Raises
    ------
    RequestError
        If the extension is another, and as `replacing`.
    """
    suffix = Path(str(path).lower().removesuffix(".gz")).suffix
    if suffix not in _STRUCTURES:
        raise RequestError(f"output '{path}' is of an unknown kind; known are {' '.join(_STRUCTURES)}, also with .gz")
    return _STRUCTURES[suffix](path, force=force)


_STRUCTURES = {".sdf": sdf_writer, ".sd": sdf_writer, ".pdb": pdb_writer}


@contextmanager
def csv_writer(path: str | Path, columns: Sequence[str], *, force: bool = False) -> Iterator[WriteRow]:
    """Give the function that appends rows, mappings by column, to a table; see `replacing`.

    A column that a row lacks is left empty; one that is not declared is a ValueError.
    """
    with replacing(path, force=force) as file:
        delimiter = "\t" if ".tsv" in Path(path).suffixes else ","
        table = csv.DictWriter(file, columns, delimiter=delimiter, lineterminator="\n")
        table.writeheader()
        yield lambda row: table.writerow({column: text_of(value) for column, value in row.items()})


def sdf_block(mol: Chem.Mol, conformer_id: int, name: str, properties: Properties) -> str:
    """Return one conformer as an SDF record, its name in the first line, its properties as data fields.

    As in RDKit, the conformer -1 is the first.

    Raises
    ------
    MoleculeError
        If the molecule has no conformer of that id.
    """
    block = Chem.MolToMolBlock(one_conformer(mol, conformer_id))
    fields = "".join(f">  <{key}>\n{text_of(value)}\n\n" for key, value in properties.items())
    return f"{one_line(name)}\n{block.partition(chr(10))[2]}{fields}$$$$\n"


def one_conformer(mol: Chem.Mol, conformer_id: int) -> Chem.Mol:
    """Copy the molecule with that conformer alone; RDKit copies all of them to write one.

    Raises
    ------
    MoleculeError
        If it has no such conformer.
    """
    present = [conformer.GetId() for conformer in mol.GetConformers()]
    chosen = present[0] if conformer_id == -1 and present else conformer_id
    if chosen not in present:
        raise MoleculeError(f"{Chem.MolToSmiles(mol)!r} has no conformer {conformer_id} to write; embed it first")
    copy = Chem.Mol(mol, False, chosen)
    if any(atom.GetChiralTag() for atom in copy.GetAtoms()):
        copy.SetIntProp("_MolFileChiralFlag", 1)  # this enantiomer, not a racemate
    return copy


def text_of(value: Value) -> str:
    """Write a float with 8 digits, a little more than float32 holds, and None as nothing."""
    if value is None:
        return ""
    return f"{value:.8g}" if isinstance(value, float) else one_line(str(value))


def one_line(text: str) -> str:
    """Remove line ends, which would end the field, and a leading $$$$, which would end the record."""
    return " ".join(text.split()).removeprefix("$$$$")


@contextmanager
def _text(raw: IO[bytes], *, compressed: bool) -> Iterator[IO[str]]:
    if not compressed:
        with io.TextIOWrapper(raw, encoding="utf-8", newline="") as file:
            yield file
        return
    with (
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="") as file,
    ):
        yield file
