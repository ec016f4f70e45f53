"""All conformers of a molecule as the text of a structure file, RDKit asked once for what they have in common."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final, TypeAlias

from rdkit import Chem

from molebm.chem.writing import one_conformer, one_line, sdf_block, text_of
from molebm.errors import RequestError

EnsembleText: TypeAlias = Callable[[Chem.Mol, str], str]
"""Maps a molecule, its conformers and their properties, and its name to text that can stand beside that of others."""

_LARGEST_V2000: Final = 999  # atoms or bonds


def ensemble_text(path: str | Path) -> EnsembleText:
    """Choose `sdf_text` or `pdb_text` by the extension, .sdf .sd or .pdb, perhaps with .gz.

    Raises
    ------
    RequestError
        If the extension is another.
    """
    suffix = Path(str(path).lower().removesuffix(".gz")).suffix
    if suffix not in _FORMATS:
        raise RequestError(f"output '{path}' is of an unknown kind; known are {' '.join(_FORMATS)}, also with .gz")
    return _FORMATS[suffix]


def sdf_text(mol: Chem.Mol, name: str) -> str:
    """Return one SDF record for each conformer, its properties as data fields.

    Without wedges, which in three dimensions say nothing that the coordinates do not: an order of magnitude
    faster than one `sdf_block` after another.
    """
    conformers = mol.GetConformers()
    if not conformers or max(mol.GetNumAtoms(), mol.GetNumBonds()) > _LARGEST_V2000:
        return "".join(sdf_block(mol, c.GetId(), name, c.GetPropsAsDict()) for c in conformers)
    block = Chem.MolToMolBlock(one_conformer(mol, conformers[0].GetId()))
    lines = block.splitlines(keepends=True)
    first_bond = 4 + mol.GetNumAtoms()
    head = f"{one_line(name)}\n{''.join(lines[1:4])}"
    ends = [line[30:] for line in lines[4:first_bond]]
    after_bonds = first_bond + mol.GetNumBonds()
    bonds = "".join(_unwedged(line) for line in lines[first_bond:after_bonds])
    tail = bonds + "".join(lines[after_bonds:])
    return "".join(
        f"{head}{''.join(_with_coordinates('%10.4f', conformer, ends))}{tail}{_fields(conformer)}$$$$\n"
        for conformer in conformers
    )


def pdb_text(mol: Chem.Mol, name: str) -> str:
    """Return one structure, each conformer a model of it, its properties as remarks before the model."""
    conformers = mol.GetConformers()
    if not conformers:
        return ""
    lines = Chem.MolToPDBBlock(one_conformer(mol, conformers[0].GetId())).splitlines(keepends=True)
    atoms = [line for line in lines if line.startswith(("ATOM", "HETATM"))]
    bonds = "".join(line for line in lines if line.startswith("CONECT"))
    ends = [line[54:] for line in atoms]
    parts = [f"COMPND    {one_line(name)}\n"]
    for model, conformer in enumerate(conformers, start=1):
        properties: Mapping[str, float | str] = conformer.GetPropsAsDict()
        parts += (f"REMARK     {key} {text_of(value)}\n" for key, value in properties.items())
        rows = _with_coordinates("%8.3f", conformer, ends)
        models = (atom[:30] + row for atom, row in zip(atoms, rows, strict=True))
        parts += [f"MODEL     {model:>4}\n", *models, "ENDMDL\n"]
    return "".join(parts) + f"{bonds}END\n"


_FORMATS: Final = {".sdf": sdf_text, ".sd": sdf_text, ".pdb": pdb_text}


def _unwedged(bond: str) -> str:
    """Take the direction of a wedge from the line of a bond, and leave what it says of a double bond."""
    return f"{bond[:9]}  0{bond[12:]}" if bond[6:9] == "  1" else bond


def _with_coordinates(number: str, conformer: Chem.Conformer, ends: list[str]) -> Iterator[str]:
    """Put x, y and z before what follows them in the line of each atom."""
    row = f"{number * 3}%s"
    return (row % (x, y, z, end) for (x, y, z), end in zip(conformer.GetPositions().tolist(), ends, strict=True))


def _fields(conformer: Chem.Conformer) -> str:
    properties: Mapping[str, float | str] = conformer.GetPropsAsDict()
    return "".join(f">  <{key}>\n{text_of(value)}\n\n" for key, value in properties.items())
