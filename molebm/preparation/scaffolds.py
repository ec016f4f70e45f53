"""Splitting molecules so that what is tested shares no scaffold with what was trained on."""

import hashlib

from rdkit import Chem
from rdkit.Chem.Scaffolds import MurckoScaffold

_PERCENT = {"test": 15, "validation": 5}


def scaffold_split(mol: Chem.Mol) -> str:
    """Assign "train", "validation" or "test" by a hash of the Bemis-Murcko scaffold.

    The choice depends on the molecule alone, so data sets prepared apart never leak into each
    other. A molecule without rings is its own scaffold.

    References
    ----------
    Bemis and Murcko, J. Med. Chem. 39, 2887 (1996).
    """
    heavy = Chem.RemoveAllHs(mol)
    scaffold = MurckoScaffold.MurckoScaffoldSmiles(mol=heavy) or Chem.MolToSmiles(heavy, isomericSmiles=False)
    bucket = int.from_bytes(hashlib.sha256(scaffold.encode()).digest()[:4], "big") % 100
    for split, percent in _PERCENT.items():
        if bucket < percent:
            return split
        bucket -= percent
    return "train"
