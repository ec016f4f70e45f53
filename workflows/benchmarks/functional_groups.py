"""Functional groups by SMARTS, to see what kind of molecule a model knows less well."""

from __future__ import annotations

from typing import Final

from rdkit import Chem

_SMARTS: Final = {
    "carboxylic acid": "[CX3](=O)[OX2H1]",
    "carboxylate": "[CX3](=O)[O-]",
    "ester, lactone": "[CX3](=O)[OX2H0][#6]",
    "amide": "[CX3;!$(C([NX3])[NX3,OX2])](=O)[NX3]",
    "urea, carbamate": "[CX3](=O)([NX3])[NX3,OX2]",
    "ketone, aldehyde": "[CX3;$(C([#6])[#6]),$([CH]([#6]))]=[OX1]",
    "alcohol": "[CX4][OX2H]",
    "phenol": "c[OX2H]",
    "ether": "[#6;!$(C=[O,S,N])][OX2;!r3][#6;!$(C=[O,S,N])]",
    "aliphatic amine": "[NX3;!$(N~[!#6;!#1]);!$(N-[#6]=,:[*]);!$(N-C#*)]([CX4])",
    "aromatic amine": "[NX3;!$(N-C=[O,S,N]);!$(N-S)]-c",
    "ammonium": "[NX4+]",
    "amidine, guanidine": "[NX3][CX3;!a]=[NX2,NX3+]",
    "imine, oxime, hydrazone": "[CX3;!$(C[NX3])]=[NX2]",
    "nitrile": "[NX1]#[CX2]",
    "nitro": "[NX3+](=O)[O-]",
    "azo, azide, hydrazine": "[#7;!a]~[#7;!a]",
    "thioether, thiol": "[SX2;!a]",
    "thiocarbonyl": "[#6]=[SX1]",
    "sulfoxide": "[$([SX3]=O),$([SX3+][O-])]",
    "sulfone": "[SX4](=O)(=O)([#6])[#6]",
    "sulfonamide": "[SX4](=O)(=O)[NX3]",
    "phosphate, phosphonate": "[PX4]=[OX1]",
    "aryl halide": "c[F,Cl,Br,I]",
    "alkyl halide": "[CX4][F,Cl,Br,I]",
    "alkene": "[CX3]=[CX3]",
    "alkyne": "[CX2]#[CX2]",
    "pyridine-like ring": "[nX2]1aaaaa1",
    "five-ring heteroaromatic": "[n,o,s]1aaaa1",
    "fused aromatic rings": "[a;R2]:[a;R2]",
    "biaryl": "a-!@a",
    "three- or four-ring": "[r3,r4]",
    "saturated five- or six-ring": "[CX4;r5,r6]@[CX4;r5,r6]",
    "macrocycle": "[r{9-}]",
}
FUNCTIONAL_GROUPS: Final = {name: Chem.MolFromSmarts(smarts) for name, smarts in _SMARTS.items()}


def functional_groups(mol: Chem.Mol) -> set[str]:
    """Name the groups that a molecule has."""
    return {name for name, pattern in FUNCTIONAL_GROUPS.items() if mol.HasSubstructMatch(pattern)}
