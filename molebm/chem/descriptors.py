"""Numbers that describe a molecular graph: a fixed list, so that models can be read by later versions."""

from __future__ import annotations

import math
from typing import Final

import torch
from rdkit import Chem
from rdkit.Chem import Descriptors

from molebm.chem.featurising import Featurise
from molebm.errors import MoleculeError

NAMES: Final = (
    *("MolWt", "HeavyAtomCount", "MolLogP", "MolMR", "TPSA", "LabuteASA", "FractionCSP3"),
    *("NumHDonors", "NumHAcceptors", "NumHeteroatoms", "NumRotatableBonds", "NHOHCount", "NOCount"),
    *("RingCount", "NumAromaticRings", "NumSaturatedRings", "NumAliphaticRings", "NumAromaticHeterocycles"),
    *("NumAliphaticHeterocycles", "NumSpiroAtoms", "NumBridgeheadAtoms", "NumAmideBonds"),
    *("BertzCT", "BalabanJ", "HallKierAlpha", "Kappa1", "Kappa2", "Kappa3"),
    *("Chi0n", "Chi1n", "Chi2n", "Chi3n", "Chi4n", "Chi0v", "Chi1v", "Chi2v"),
    *("MaxEStateIndex", "MinEStateIndex", "VSA_EState2", "VSA_EState6", "VSA_EState8"),
    *("SlogP_VSA2", "SlogP_VSA5", "SMR_VSA5", "SMR_VSA7", "PEOE_VSA1", "PEOE_VSA6", "PEOE_VSA8"),
    *("qed", "fr_halogen", "fr_NH0", "fr_C_O", "fr_bicyclic", "fr_ether", "fr_nitro", "fr_sulfide"),
)
"""Of RDKit's descriptors those that need no coordinates and no Gasteiger charges of unknown elements."""


def descriptors() -> Featurise:
    """Features "x" (D,) float32, in the order of `NAMES`."""
    functions = {name: getattr(Descriptors, name) for name in NAMES}

    def featurise(mol: Chem.Mol) -> dict[str, torch.Tensor]:
        heavy = Chem.RemoveAllHs(mol)
        values = [float(function(heavy)) for function in functions.values()]
        if wrong := [name for name, value in zip(NAMES, values, strict=True) if not math.isfinite(value)]:
            raise MoleculeError(f"the descriptor {wrong[0]} is no number; leave the molecule out")
        return {"x": torch.tensor(values)}

    return featurise
