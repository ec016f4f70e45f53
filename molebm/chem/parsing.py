"""From the text of one molecule to RDKit, with the reason when it cannot be done."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import NamedTuple

from rdkit import Chem, rdBase
from rdkit.Chem import AllChem

from molebm.chem.sanity import chemistry_problems
from molebm.errors import GraphError, MoleculeError

_NOISE = re.compile(r"^\s*$|^\*+|^-+$|Violation|Failed Expression|Stacktrace|^ *\d+# |Could not sanitize|moving to the")
_PREFIX = re.compile(r"^\[[\d:]+\] *((SMILES Parse )?error: *)?", re.IGNORECASE)
_CURE = {
    "kekulize": "write a Kekulé structure, or the hydrogen of each aromatic nitrogen that has one as [nH]",
    "valence": "correct the bonds or the charge of that atom (atoms count from 0)",
}


class Entry(NamedTuple):
    """The text of one molecule before it is parsed."""

    name: str
    source: str
    place: str  # put before an error; empty where the source says it
    parse: Callable[[], Chem.Mol]


def mol_from_smiles(smiles: str) -> Chem.Mol:
    """Parse SMILES, or CXSMILES if an extension follows after a space.

    Raises
    ------
    MoleculeError
        If it does not parse, with RDKit's reason; a GraphError if it does, but is no molecule.
    """
    if not smiles.strip():
        raise MoleculeError("the SMILES is empty; give one")
    with _reasons() as reason:
        mol = Chem.MolFromSmiles(smiles)
    if mol is None:
        why = _with_cure(reason(), "correct it")
        raise _refusal(f"{smiles!r} is not a valid SMILES", why, partial(Chem.MolFromSmiles, smiles, sanitize=False))
    return mol


def mol_from_sdf(text: str) -> Chem.Mol:
    """Parse one SDF record or MOL file, keeping coordinates, hydrogens and data fields.

    Stereo is read from the coordinates if they are in three dimensions, else from wedges. The
    fields of V2000 that count hydrogens and bonds are ignored: missing hydrogens are to be added, not made
    radicals or queries.

    Raises
    ------
    MoleculeError
        If it does not parse, with RDKit's reason; a GraphError if it does, but is no molecule.
    """
    supplier = Chem.SDMolSupplier()
    text = _without_counts(text)
    with _reasons() as reason:
        supplier.SetData(text, removeHs=False)
        mol = next(supplier, None)
    if mol is None:
        why = _with_cure(reason(), "write the record again")
        supplier.SetData(text, sanitize=False, removeHs=False)
        raise _refusal("not a readable SDF record", why, partial(next, supplier, None))
    return mol


def mol_from_mol2(text: str) -> Chem.Mol:
    """Parse one MOL2 block, keeping coordinates and hydrogens.

    Raises
    ------
    MoleculeError
        If it does not parse, with RDKit's reason; a GraphError if it does, but is no molecule.
    """
    with _reasons() as reason:
        mol = Chem.MolFromMol2Block(text, removeHs=False)
    if mol is None:
        why = _with_cure(reason(), "RDKit knows the atom types of Corina alone: convert the file to SDF")
        raw = partial(Chem.MolFromMol2Block, text, sanitize=False, removeHs=False)
        raise _refusal("not a readable MOL2 block", why, raw)
    return mol


def mol_from_pdb(text: str, template: Chem.Mol | None, bonds: Iterable[tuple[int, int]] | None = None) -> Chem.Mol:
    """Parse one PDB structure, each of its models a conformer, with the chemistry of the template.

    PDB does not say which bonds are double or what is charged. Charges, bond orders and declared
    stereo are those of `template`; the order of atoms is that of the file. Without a template the
    molecule is accepted only if its hydrogens are all there and every valence is met as written.

    Parameters
    ----------
    bonds
        All pairs of atoms, in their order in the file, that are bonded; those that are near one another, and
        those the file states, if it is not known.

    Raises
    ------
    MoleculeError
        If it does not parse, does not match the template, or needs one; a GraphError if it parses,
        but is no molecule.
    """
    raw = partial(_raw_pdb, _with_early_bonds(text), bonds)
    with _reasons() as reason:
        mol = Chem.MolFromPDBBlock(_with_early_bonds(text), removeHs=False) if bonds is None else _sanitized(raw())
    if mol is None:
        why = _with_cure(reason(), "convert the file to SDF")
        raise _refusal("not a readable PDB structure", why, raw)
    if template is not None:
        return _as_template(mol, template)
    if any(atom.GetTotalNumHs() or atom.GetNumRadicalElectrons() for atom in mol.GetAtoms()):
        raise MoleculeError("the PDB structure lacks hydrogens or bond orders; give its SMILES as the template")
    Chem.AssignStereochemistryFrom3D(mol)
    return mol


def _raw_pdb(text: str, bonds: Iterable[tuple[int, int]] | None) -> Chem.Mol | None:
    mol = Chem.MolFromPDBBlock(text, sanitize=False, removeHs=False)
    if mol is None or bonds is None:
        return mol
    exact = Chem.RWMol(mol)
    known = {tuple(sorted(pair)) for pair in bonds}
    found = {tuple(sorted((b.GetBeginAtomIdx(), b.GetEndAtomIdx()))) for b in mol.GetBonds()}
    for pair in found - known:
        exact.RemoveBond(*pair)
    for pair in known - found:
        exact.AddBond(*pair, Chem.BondType.SINGLE)
    return exact.GetMol()


def _sanitized(mol: Chem.Mol | None) -> Chem.Mol | None:
    try:
        if mol is not None:
            Chem.SanitizeMol(mol)
    except Chem.MolSanitizeException:
        return None
    return mol


def _as_template(mol: Chem.Mol, template: Chem.Mol) -> Chem.Mol:
    """Return the template with the coordinates and the order of atoms of `mol`."""
    whole = Chem.AddHs(template)
    if mol.GetNumAtoms() != whole.GetNumAtoms():  # some hydrogens are missing: leave them all out
        mol, whole = Chem.RemoveAllHs(mol, sanitize=False), Chem.RemoveAllHs(template)
    mismatch = MoleculeError(
        f"the PDB structure does not match the template {Chem.MolToSmiles(template)!r}; "
        "give the SMILES of the whole molecule, and remove other molecules from the file"
    )
    if mol.GetNumAtoms() != whole.GetNumAtoms():
        raise mismatch
    with _reasons():
        try:
            found = AllChem.AssignBondOrdersFromTemplate(whole, mol)
        except ValueError as error:
            raise mismatch from error
    Chem.AssignStereochemistryFrom3D(found)
    places = found.GetSubstructMatch(whole, useChirality=True) or found.GetSubstructMatch(whole)
    if len(places) != found.GetNumAtoms():
        raise mismatch
    declared = Chem.RenumberAtoms(whole, sorted(range(len(places)), key=places.__getitem__))
    for conformer in found.GetConformers():
        declared.AddConformer(conformer)
    if mol.HasProp("_Name"):
        declared.SetProp("_Name", mol.GetProp("_Name"))
    return declared


def _with_early_bonds(text: str) -> str:
    """Repeat the CONECT records within the first model, the only one whose bonds RDKit reads."""
    first, end, rest = text.partition("\nENDMDL")
    if not end or "\nCONECT" in first:
        return text
    return "\n".join([first, *dict.fromkeys(re.findall(r"^CONECT.*", rest, re.MULTILINE))]) + end + rest


def _without_counts(text: str) -> str:
    """Blank the counts of hydrogens and of bonds in a V2000 atom block.

    The first would make query atoms. The second is written by programs that keep only the polar hydrogens, and
    would make radicals of the atoms whose hydrogens are missing; radicals proper are in a property block.
    """
    lines = text.split("\n")
    if len(lines) > 3 and "V2000" in lines[3] and lines[3][:3].strip().isdigit():
        for row in range(4, min(4 + int(lines[3][:3]), len(lines))):
            if len(lines[row]) >= 45:
                lines[row] = lines[row][:42] + "  0" + lines[row][45:48] + "  0" + lines[row][51:]
    return "\n".join(lines)


def _refusal(unreadable: str, why: str, read_as_it_is: Callable[[], Chem.Mol | None]) -> MoleculeError:
    """Tell what could not be read from what was, but is no molecule; the second reading is without sanitising."""
    with _reasons():
        raw = read_as_it_is()
    faults = () if raw is None else tuple(chemistry_problems(raw))
    return GraphError(f"no molecule has such bonds: {why}", faults) if faults else MoleculeError(f"{unreadable}: {why}")


@contextmanager
def _reasons() -> Iterator[Callable[[], str]]:
    """Keep RDKit from writing to the log, and give the function that says what it would have written."""
    with rdBase.BlockLogs(), rdBase.CaptureErrorLog() as log:
        yield lambda: _first_reason(log.messages)


def _first_reason(messages: str) -> str:
    lines = (_PREFIX.sub("", line).strip() for line in messages.splitlines())
    return next((line for line in lines if not _NOISE.search(line)), "RDKit gives no reason")


def _with_cure(reason: str, cure: str) -> str:
    """Add what to do about it."""
    return f"{reason}; {next((found for word, found in _CURE.items() if word in reason), cure)}"
