"""Bits of a molecular graph, and the atoms that set each of them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import MACCSkeys, rdFingerprintGenerator, rdMolDescriptors
from rdkit.DataStructs import ConvertToNumpyArray, ExplicitBitVect
from torch import Tensor

from molebm.chem.featurising import Featurise

Atoms = tuple[int, ...]
MACCS_BITS: Final = 167  # the first is never set
MORGAN_BITS: Final = 1024


@dataclass(frozen=True, slots=True)
class Morgan:
    """Circular environments, hashed to bits.

    References
    ----------
    Rogers and Hahn, J. Chem. Inf. Model. 50, 742 (2010).
    """

    radius: int = 2
    n_bits: int = MORGAN_BITS

    def bits(self, mol: Chem.Mol) -> Tensor:
        """Which bits are set, (V,) uint8; hydrogens do not count."""
        return _tensor(_generator(self.radius, self.n_bits).GetFingerprint(heavy_atoms_of(mol)[0]))

    def atoms_of_bits(self, mol: Chem.Mol) -> dict[int, list[Atoms]]:
        """Atoms of every environment that sets a bit, its centre first, by bit; indices are those of `mol`."""
        heavy, places = heavy_atoms_of(mol)
        output = rdFingerprintGenerator.AdditionalOutput()
        output.AllocateBitInfoMap()
        _generator(self.radius, self.n_bits).GetFingerprint(heavy, additionalOutput=output)
        return {
            bit: [circle_atoms(heavy, places, centre, radius) for centre, radius in found]
            for bit, found in output.GetBitInfoMap().items()
        }


@dataclass(frozen=True, slots=True)
class Maccs:
    """The 166 public MACCS keys.

    References
    ----------
    Durant et al., J. Chem. Inf. Comput. Sci. 42, 1273 (2002).
    """

    @property
    def n_bits(self) -> int:
        return MACCS_BITS

    def bits(self, mol: Chem.Mol) -> Tensor:
        """Which keys are set, (V,) uint8; hydrogens do not count."""
        return _tensor(rdMolDescriptors.GetMACCSKeysFingerprint(heavy_atoms_of(mol)[0]))

    def atoms_of_bits(self, mol: Chem.Mol) -> dict[int, list[Atoms]]:
        """Atoms of every match of a key that is set, by key; none for keys that are no patterns."""
        heavy, places = heavy_atoms_of(mol)
        found: dict[int, list[Atoms]] = {}
        for bit in rdMolDescriptors.GetMACCSKeysFingerprint(heavy).GetOnBits():
            pattern = _maccs_pattern(bit)
            matches = () if pattern is None else heavy.GetSubstructMatches(pattern)
            found[bit] = [tuple(places[atom] for atom in match) for match in matches]
        return found


Fingerprint = Morgan | Maccs


def morgan(radius: int = 2, n_bits: int = MORGAN_BITS) -> Featurise:
    """Features "x" (V,) uint8 of Morgan bits."""
    fingerprint = Morgan(radius, n_bits)
    return lambda mol: {"x": fingerprint.bits(mol)}


def maccs() -> Featurise:
    """Features "x" (167,) uint8 of MACCS keys."""
    fingerprint = Maccs()
    return lambda mol: {"x": fingerprint.bits(mol)}


@cache
def _generator(radius: int, n_bits: int) -> rdFingerprintGenerator.FingerprintGenerator64:
    return rdFingerprintGenerator.GetMorganGenerator(radius=radius, fpSize=n_bits)


@cache
def _maccs_pattern(bit: int) -> Chem.Mol | None:
    smarts = MACCSkeys.smartsPatts.get(bit, ("?", 0))[0]
    return None if smarts == "?" else Chem.MolFromSmarts(smarts)


def heavy_atoms_of(mol: Chem.Mol) -> tuple[Chem.Mol, list[int]]:
    """Leave hydrogens out; also where each atom that is left was."""
    kept = Chem.RemoveAllHs(mol)
    places = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    return kept, places if len(places) == kept.GetNumAtoms() else list(range(mol.GetNumAtoms()))


def circle_atoms(heavy: Chem.Mol, places: list[int], centre: int, radius: int) -> Atoms:
    """Atoms at most so many bonds away, the centre first."""
    bonds = Chem.FindAtomEnvironmentOfRadiusN(heavy, radius, centre) if radius else ()
    ends = (heavy.GetBondWithIdx(bond) for bond in bonds)
    around = {atom for bond in ends for atom in (bond.GetBeginAtomIdx(), bond.GetEndAtomIdx())} - {centre}
    return places[centre], *(places[atom] for atom in sorted(around))


def _tensor(found: ExplicitBitVect) -> Tensor:
    array: NDArray[np.uint8] = np.zeros(found.GetNumBits(), dtype=np.uint8)
    ConvertToNumpyArray(found, array)
    return torch.from_numpy(array)
