"""What is measured of conformers, by one and the same code whichever method made them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem

from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.selection import distinct_conformers
from molebm.conformers.symmetry import symmetry

APART: Final = 0.5  # Å, of heavy atoms; conformers farther from each other are distinct
RESAMPLES: Final = 5000


def heavy_graph(mol: Chem.Mol) -> Chem.Mol:
    """Drop every hydrogen, also those that RemoveHs keeps; the heavy atoms stay in their order."""
    return Chem.RemoveAllHs(mol)


def same_atoms(reference: Chem.Mol, mol: Chem.Mol) -> NDArray[np.int64] | None:
    """Find an atom of a reference without hydrogens for each heavy atom of a molecule, (n,), by their graphs.

    Which of several is found does not matter to a distance that exchanges equivalent atoms.
    """
    match = reference.GetSubstructMatch(heavy_graph(mol), useChirality=False)
    return np.array(match, dtype=np.int64) if match and len(match) == reference.GetNumAtoms() else None


def rmsd_to(references: NDArray[np.float64], mol: Chem.Mol) -> NDArray[np.float64]:
    """Distances in Å after the best superposition of each reference and each conformer of a molecule, (F, C).

    Mirror images are not superposed; equivalent atoms are exchanged, as in RDKit's GetBestRMS.

    Parameters
    ----------
    references
        (F, n, 3) Å, the heavy atoms in the order of the molecule's.
    """
    found = symmetry(mol)
    whole = np.zeros((len(references), mol.GetNumAtoms(), 3))  # hydrogens do not count
    whole[:, found.heavy] = references
    return rmsd_matrix(whole, found, positions(mol), precision=torch.float64).astype(np.float64)


def n_distinct(mol: Chem.Mol) -> int:
    """Count conformers each farther than 0.5 Å from those that were counted before it."""
    n = mol.GetNumConformers()
    if n == 0:
        return 0
    zeros = np.zeros(n)
    return len(
        distinct_conformers(mol, positions(mol), zeros, rmsd=APART, energy_window=np.inf, n_conformers=n),
    )


def wrong_stereo(smiles: str, mol: Chem.Mol) -> NDArray[np.bool_]:
    """Tell in which conformers RDKit perceives another stereocentre or double bond than the SMILES declares, (C,).

    The atoms of the molecule must be those of the SMILES with hydrogens added, in their order.
    """
    declared = Chem.AddHs(Chem.MolFromSmiles(smiles))
    centres = [atom.GetIdx() for atom in declared.GetAtoms() if atom.GetChiralTag() in _HANDED]
    bonds = [bond.GetIdx() for bond in declared.GetBonds() if bond.GetStereo() in _EITHER]
    wrong = np.zeros(mol.GetNumConformers(), dtype=bool)
    if not centres and not bonds:
        return wrong
    for index, conformer in enumerate(mol.GetConformers()):
        found = Chem.Mol(declared)
        found.AddConformer(conformer)
        Chem.AssignStereochemistryFrom3D(found)
        wrong[index] = any(
            found.GetAtomWithIdx(i).GetChiralTag() != declared.GetAtomWithIdx(i).GetChiralTag() for i in centres
        ) or any(found.GetBondWithIdx(i).GetStereo() != declared.GetBondWithIdx(i).GetStereo() for i in bonds)
    return wrong


def positions(mol: Chem.Mol) -> NDArray[np.float64]:
    """Return the coordinates of all conformers, (C, N, 3) Å."""
    frames = [conformer.GetPositions() for conformer in mol.GetConformers()]
    return np.stack(frames) if frames else np.empty((0, mol.GetNumAtoms(), 3))


def interval(ours: Sequence[float], theirs: Sequence[float], seed: int = 0) -> tuple[float, float, float]:
    """Difference of two medians over the same molecules, and its 95 % interval by resampling the molecules.

    A molecule on which either fails has infinity there.

    References
    ----------
    Efron, Ann. Stat. 7, 1 (1979).
    """
    pairs = np.array([ours, theirs], dtype=np.float64)  # (2, molecules)
    generator = np.random.default_rng(seed)
    chosen = generator.integers(pairs.shape[1], size=(RESAMPLES, pairs.shape[1]))
    low, high = np.quantile(_median_difference(pairs[:, chosen]), [0.025, 0.975], method="nearest")
    return float(_median_difference(pairs)), float(low), float(high)


def table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """Lay out a Markdown table whose first columns, `texts` of them, are text and the others numbers."""
    rule = ["---"] * texts + ["--:"] * (len(head) - texts)
    return "\n".join("| " + " | ".join(line) + " |" for line in (head, rule, *rows))


_HANDED: Final = (Chem.ChiralType.CHI_TETRAHEDRAL_CCW, Chem.ChiralType.CHI_TETRAHEDRAL_CW)
_EITHER: Final = (Chem.BondStereo.STEREOE, Chem.BondStereo.STEREOZ)


def _median_difference(pairs: NDArray[np.float64]) -> NDArray[np.float64]:
    ours, theirs = np.median(pairs, axis=-1)
    return ours - theirs
