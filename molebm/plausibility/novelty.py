"""How unlike the molecules of a library a molecular graph is, and where."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdFingerprintGenerator
from rdkit.DataStructs import BulkTanimotoSimilarity, ExplicitBitVect

from molebm.chem.circles import atoms_in, circles, molecules_with
from molebm.errors import RequestError
from molebm.plausibility.newness import Newness, bits_of, unseen_circles
from molebm.plausibility.surprise import Surprise, conformal_p_value

BITS: Final = 2048  # of Morgan fingerprints, of radius 2
FEWEST: Final = 20  # molecules of a library
MOST_TRUSTED: Final = 1000  # molecules of the library that others are held against
SHARE_TRUSTED: Final = 0.5  # of the library at most; the others train the Boltzmann machine

Numbers = NDArray[np.float64]


class Blame(NamedTuple):
    """Part of a molecule that makes it new."""

    atoms: tuple[int, ...]  # of the molecule, the centre first
    energy: float  # nats that it adds
    words: str


class Novelty(NamedTuple):
    """How new one molecule is."""

    score: float  # nats: its energy, the higher the newer
    p_value: float  # chance that a molecule like those of the library is as new
    blames: list[Blame]  # the largest first


class Novel(Protocol):
    """What novelty is held against."""

    def novelty(self, mol: Chem.Mol) -> Novelty: ...


class Library:
    """Molecules that are known, and how unlike the others each of them is.

    Two statistics are put together by the harmonic mean of their p-values: the energy of a restricted Boltzmann
    machine over the surroundings of atoms that the library has never seen, and one minus the largest Tanimoto
    similarity to a molecule of it. The p-value of both is conformal, by molecules that trained no machine and are
    held against the library without themselves.

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
    Rogers and Hahn, J. Chem. Inf. Model. 50, 742 (2010), for the fingerprints. Wilson, Proc. Natl. Acad. Sci. USA
    116, 1195 (2019), for the mean.
    """

    def __init__(self, mols: Iterable[Chem.Mol | None], seed: int = 0) -> None:
        self._generator = rdFingerprintGenerator.GetMorganGenerator(radius=2, fpSize=BITS)
        heavy = {Chem.MolToSmiles(kept): kept for kept in (Chem.RemoveAllHs(mol) for mol in mols if mol is not None)}
        distinct = list(heavy.values())
        if len(distinct) < FEWEST:
            raise RequestError(f"the library has {len(distinct)} different molecules; give at least {FEWEST}")
        self._known = [self._generator.GetFingerprint(mol) for mol in distinct]
        found = [circles(mol) for mol in distinct]
        self.seen = molecules_with(found)
        bits = torch.stack(
            [
                bits_of(unseen_circles(of_one, self.seen, own=1), mol.GetNumAtoms())
                for of_one, mol in zip(found, distinct, strict=True)
            ]
        )
        order = np.random.default_rng(seed).permutation(len(distinct))
        trusted, rest = np.split(order, [min(MOST_TRUSTED, int(SHARE_TRUSTED * len(distinct)))])
        self._newness = Newness(bits[rest], seed)
        energies = self._newness.energy(bits[trusted]).numpy()
        distances = np.array([self._distance(self._known[i], without=int(i)) for i in trusted])
        self._surprises = Surprise(np.exp(energies - energies.min())), Surprise(distances)
        self._least = float(energies.min())
        self._trusted = self._together(energies, distances)

    @property
    def n_trusted(self) -> int:
        """Molecules that p-values are held against."""
        return len(self._trusted)

    def novelty(self, mol: Chem.Mol) -> Novelty:
        """Return the energy of a molecule, the p-value of energy and similarity together, and what is unseen in it."""
        unseen = unseen_circles(circles(mol), self.seen, own=0)
        n_heavy = mol.GetNumHeavyAtoms()
        energy = float(self._newness.energy(bits_of(unseen, n_heavy)[None]))
        distance = self.distance(mol)
        together = self._together(np.array([energy]), np.array([distance]))
        costs = self._newness.blame(unseen, n_heavy) if unseen else []
        blames = [
            Blame(atoms, cost, _words(mol, atoms[0], circle.radius))
            for circle, atoms, cost in zip(unseen, atoms_in(mol, unseen), costs, strict=True)
        ]
        blames.sort(key=lambda blame: -blame.energy)
        return Novelty(energy, float(conformal_p_value(together, self._trusted)[0]), blames)

    def distance(self, mol: Chem.Mol) -> float:
        """One minus the Tanimoto similarity to the nearest molecule of the library."""
        return self._distance(self._generator.GetFingerprint(Chem.RemoveAllHs(mol)))

    def _together(self, energies: Numbers, distances: Numbers) -> Numbers:
        """Minus the logarithm of the harmonic mean of the shares of trusted molecules that are as new."""
        of_energy, of_distance = self._surprises
        bounded = np.exp(np.minimum(energies - self._least, 700.0))
        return np.logaddexp(of_energy(bounded), of_distance(distances))

    def _distance(self, fingerprint: ExplicitBitVect, without: int | None = None) -> float:
        similar = BulkTanimotoSimilarity(fingerprint, self._known)
        if without is not None:
            del similar[without]
        return 1.0 - max(similar)


def _words(mol: Chem.Mol, centre: int, radius: int) -> str:
    name = f"{mol.GetAtomWithIdx(centre).GetSymbol()}{centre}"
    if radius == 0:
        return f"no molecule of the library has an atom like {name}"
    return f"no molecule of the library has what is within {radius} bond{'s' * (radius > 1)} of {name}"
