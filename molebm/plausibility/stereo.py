"""Declared stereo against the coordinates, which no energy can do: mirror images have the same energy."""

from __future__ import annotations

from typing import Final

import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.graph import positions_from_mol
from molebm.chem.parsing import mol_from_smiles
from molebm.chem.stereo import declared_centres, declared_double_bonds
from molebm.errors import Fault, MoleculeError, StereoError
from molebm.forcefield.geometry import cos_torsion, norm

FLAT: Final = 0.1  # triple product of unit vectors; 0.77 for a regular tetrahedron
_OTHER: Final = {
    Chem.BondStereo.STEREOZ: Chem.BondStereo.STEREOE,
    Chem.BondStereo.STEREOE: Chem.BondStereo.STEREOZ,
    Chem.BondStereo.STEREOCIS: Chem.BondStereo.STEREOTRANS,
    Chem.BondStereo.STEREOTRANS: Chem.BondStereo.STEREOCIS,
}


def stereo_mismatches(mol: Chem.Mol, *, even_flat: bool = True) -> list[Fault]:
    """Say where the first conformer is not as the tags of the molecule declare it.

    What the tags leave open is not looked at. Centres that are all inverted and give the same
    molecule again, as both ends of a ring may, are no mismatch. Without `even_flat`, neither are centres that have no
    hand: tags that were read off coordinates say one even where there is none to see.
    """
    x = positions_from_mol(mol, torch.float64)[:, :, :1]
    flat, inverted = _centres(mol, x)
    flat = flat if even_flat else []
    turned = _double_bonds(mol, x)
    if not (flat or inverted or turned):
        return []
    found = Chem.Mol(mol)
    for centre in inverted:
        found.GetAtomWithIdx(centre).InvertChirality()
    for bond in turned:
        found.GetBondWithIdx(bond).SetStereo(_OTHER[found.GetBondWithIdx(bond).GetStereo()])
    declared = _named(mol)
    found = _named(found)
    faults = [Fault(f"{_label(declared, c)} is flat, declared {_code(declared, c)}", (c,)) for c in flat]
    if _canonical(found) != _canonical(declared):
        faults += [
            Fault(
                f"{_label(declared, c)} is {_code(found, c)}, declared {_code(declared, c)}"
                if _code(declared, c) != _code(found, c)
                else f"{_label(declared, c)} is the mirror image of what is declared",
                (c,),
            )
            for c in inverted
        ]
        faults += [_turned(mol.GetBondWithIdx(bond)) for bond in turned]
    return faults


def as_declared(mol: Chem.Mol, smiles: str) -> Chem.Mol:
    """Return the molecule of the SMILES, with the coordinates and the order of atoms of `mol`.

    Stereo is not looked at here; where symmetry leaves a choice of order, any is taken.

    Raises
    ------
    MoleculeError
        If the SMILES does not parse.
    StereoError
        If it is of another molecule.
    """
    whole = Chem.AddHs(mol_from_smiles(smiles))
    same_size = whole.GetNumAtoms() == mol.GetNumAtoms() and whole.GetNumBonds() == mol.GetNumBonds()
    places = mol.GetSubstructMatch(whole) if same_size else ()
    if not places:
        raise StereoError(
            f"the declared {smiles!r} is another molecule, {Chem.MolToSmiles(Chem.RemoveAllHs(mol))!r} was found; "
            "declare the same charges and hydrogens"
        )
    declared = Chem.RenumberAtoms(whole, sorted(range(len(places)), key=places.__getitem__))
    declared.AddConformer(mol.GetConformer(), assignId=True)
    return declared


def mismatches_with(mol: Chem.Mol, smiles: str | None) -> list[Fault]:
    """Say where the first conformer is neither as its tags nor as the SMILES, if any, declare it."""
    faults = stereo_mismatches(mol, even_flat=False)
    if smiles is None:
        return faults
    try:
        return list(dict.fromkeys([*faults, *stereo_mismatches(as_declared(mol, smiles))]))
    except MoleculeError as error:
        return [*faults, Fault(str(error), ())]


def _centres(mol: Chem.Mol, x: Tensor) -> tuple[list[int], list[int]]:
    """Find the declared centres that are flat, and those that are inverted."""
    declared = declared_centres(mol)
    if not declared:
        return [], []
    atoms = torch.tensor([atoms for atoms, _ in declared])  # (S, 4)
    arms = x[:, atoms[:, 1:], 0] - x[:, atoms[:, :1], 0]  # (3, S, 3)
    volumes = torch.linalg.det((arms / norm(arms)).permute(1, 2, 0)).tolist()
    signed = [(centre, sign * volume) for ((centre, *_), sign), volume in zip(declared, volumes, strict=True)]
    flat = [centre for centre, volume in signed if abs(volume) < FLAT]
    return flat, [centre for centre, volume in signed if volume <= -FLAT]


def _double_bonds(mol: Chem.Mol, x: Tensor) -> list[int]:
    """Find the declared double bonds that are turned the other way."""
    declared = declared_double_bonds(mol)
    if not declared:
        return []
    found = cos_torsion(x, torch.tensor([atoms for atoms, _ in declared]).T)[:, 0] > 0
    return [
        mol.GetBondBetweenAtoms(atoms[1], atoms[2]).GetIdx()
        for (atoms, cis), is_cis in zip(declared, found.tolist(), strict=True)
        if is_cis != cis
    ]


def _named(mol: Chem.Mol) -> Chem.Mol:
    """Copy with R and S given anew, and all tags kept."""
    copy = Chem.Mol(mol)
    for atom in copy.GetAtoms():
        atom.ClearProp("_CIPCode")
    Chem.AssignStereochemistry(copy, cleanIt=False, force=True)
    return copy


def _canonical(mol: Chem.Mol) -> str:
    """Write the molecule as the tags have it, read it, and write it again: the tags that no longer matter go."""
    return Chem.MolToSmiles(mol_from_smiles(Chem.MolToSmiles(mol)))


def _label(mol: Chem.Mol, atom: int) -> str:
    return f"{mol.GetAtomWithIdx(atom).GetSymbol()}{atom}"


def _code(mol: Chem.Mol, atom: int) -> str:
    """Return R or S, or the hand of its neighbours where the rules of naming find none."""
    centre = mol.GetAtomWithIdx(atom)
    hand = "clockwise" if centre.GetChiralTag() == Chem.ChiralType.CHI_TETRAHEDRAL_CW else "counter-clockwise"
    return centre.GetProp("_CIPCode") if centre.HasProp("_CIPCode") else hand


def _turned(bond: Chem.Bond) -> Fault:
    ends = (bond.GetBeginAtom(), bond.GetEndAtom())
    names = "=".join(f"{atom.GetSymbol()}{atom.GetIdx()}" for atom in ends)
    declared, found = (stereo.name.removeprefix("STEREO") for stereo in (bond.GetStereo(), _OTHER[bond.GetStereo()]))
    return Fault(f"{names} is {found}, declared {declared}", tuple(atom.GetIdx() for atom in ends))
