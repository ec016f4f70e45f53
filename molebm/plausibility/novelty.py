"""How unlike the molecules of a library a molecular graph is."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BulkTanimotoSimilarity, ExplicitBitVect

from molebm.errors import RequestError
from molebm.plausibility.surprise import conformal_p_value

RADIUS, BITS = 2, 2048  # of Morgan fingerprints
FEWEST: Final = 20  # molecules of a library
MOST_TRUSTED: Final = 1000  # molecules of the library that others are held against


class Library:
    """Molecules that are known, and how unlike the others each of them is.

    Parameters
    ----------
    mols
        At least `FEWEST`; None is left out.

    Raises
    ------
    RequestError
        If there are fewer.

    References
    ----------
    Rogers and Hahn, J. Chem. Inf. Model. 50, 742 (2010), for the fingerprints.
    """

    def __init__(self, mols: Iterable[Chem.Mol | None], seed: int = 0) -> None:
        self._generator = rdFingerprintGenerator.GetMorganGenerator(radius=RADIUS, fpSize=BITS)
        distinct = {Chem.MolToSmiles(Chem.RemoveAllHs(mol)): mol for mol in mols if mol is not None}
        if len(distinct) < FEWEST:
            raise RequestError(f"the library has {len(distinct)} different molecules; give at least {FEWEST}")
        self._known = [self._fingerprint(mol) for mol in distinct.values()]
        chosen = np.random.default_rng(seed).permutation(len(self._known))[:MOST_TRUSTED]
        self._trusted: NDArray[np.float64] = np.array([self._distance(self._known[i], without=int(i)) for i in chosen])

    def novelty(self, mol: Chem.Mol) -> tuple[float, float]:
        """Return one minus the largest Tanimoto similarity to a molecule of the library, and its p-value.

        The p-value is the chance that a molecule of the library is as unlike the others.
        """
        distance = self._distance(self._fingerprint(mol))
        return distance, float(conformal_p_value(distance, self._trusted))

    def _fingerprint(self, mol: Chem.Mol) -> ExplicitBitVect:
        return self._generator.GetFingerprint(Chem.RemoveAllHs(mol))

    def _distance(self, fingerprint: ExplicitBitVect, without: int | None = None) -> float:
        similar = BulkTanimotoSimilarity(fingerprint, self._known)
        if without is not None:
            del similar[without]
        return 1.0 - max(similar)
