"""Root-mean-square distance of heavy atoms after the best superposition, equivalent atoms exchanged."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

MAX_PERMUTATIONS: Final = 1000  # a few tert-butyl groups make more than can be tried
_NEWTON_STEPS: Final = 50
_ENDS = "[O,N;D1;$([O,N;D1]-[*]=[O,N;D1]),$([O,N;D1]=[*]-[O,N;D1])]~[*]"  # as RDKit's GetBestRMS has them
_CONJUGATED_END: Final = Chem.MolFromSmarts(_ENDS)


def equivalent_orders(mol: Chem.Mol) -> NDArray[np.int64]:
    """List the orders in which the heavy atoms can be read without changing the molecule, (M, n).

    The first row is as the molecule has them; all atoms count where none is heavy. Terminal oxygens and
    nitrogens that differ by a drawn double bond (carboxylate, nitro, sulfonyl, guanidinium) are
    equivalent. Of highly symmetric molecules only `MAX_PERMUTATIONS` orders are listed.
    """
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    if not heavy:
        heavy = list(range(mol.GetNumAtoms()))
        graph = Chem.RWMol(mol)
    else:
        graph = _without_hydrogens(mol)
    for end, centre in graph.GetSubstructMatches(_CONJUGATED_END):
        graph.GetBondBetweenAtoms(end, centre).SetBondType(Chem.BondType.SINGLE)
        graph.GetAtomWithIdx(end).SetFormalCharge(0)
    matches = graph.GetSubstructMatches(graph, uniquify=False, useChirality=False, maxMatches=MAX_PERMUTATIONS)
    identity = tuple(range(len(heavy)))
    orders = [identity, *(match for match in matches if match != identity)]
    return np.array(heavy, dtype=np.int64)[np.array(orders, dtype=np.int64)]


def best_rmsd(reference: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Superpose conformers on each order of a reference, giving the least distance of each, (K,) Å.

    Mirror images are not superposed.

    Parameters
    ----------
    reference
        (M, n, 3) Å, centred, one conformer in M orders of its atoms.
    others
        (K, n, 3) Å, centred.

    References
    ----------
    Theobald, Acta Cryst. A61, 478 (2005): the largest eigenvalue of the quaternion key matrix.
    """
    n_orders, n_atoms, _ = reference.shape
    flat = reference.transpose(0, 2, 1).reshape(3 * n_orders, n_atoms)
    correlation = (flat @ others).reshape(len(others), n_orders, 3, 3)  # (K, M, 3, 3)
    spread = ((reference[0] ** 2).sum() + (others**2).sum((1, 2)))[:, None] / 2  # (K, 1)
    overlap = _largest_key_eigenvalue(correlation, spread).max(axis=1)
    return np.sqrt(np.maximum(2 * (spread[:, 0] - overlap), 0) / n_atoms)


def _largest_key_eigenvalue(m: NDArray[np.float64], above: NDArray[np.float64]) -> NDArray[np.float64]:
    """Solve λ⁴ + c₂λ² + c₁λ + c₀ = 0 by Newton's method, which converges from above without overshooting."""
    square = np.swapaxes(m, -1, -2) @ m
    trace = np.trace(square, axis1=-2, axis2=-1)
    c2, c1, c0 = -2 * trace, -8 * _determinant(m), 2 * (square**2).sum((-2, -1)) - trace**2
    eigenvalue = np.broadcast_to(above, trace.shape).copy()
    for _ in range(_NEWTON_STEPS):
        value = ((eigenvalue**2 + c2) * eigenvalue + c1) * eigenvalue + c0
        slope = (4 * eigenvalue**2 + 2 * c2) * eigenvalue + c1
        step = np.divide(value, slope, out=np.zeros_like(value), where=slope > 0)
        eigenvalue -= step
        if (np.abs(step) <= 1e-9 * above).all():
            break
    return eigenvalue


def _determinant(m: NDArray[np.float64]) -> NDArray[np.float64]:
    return (m[..., 0, :] * np.cross(m[..., 1, :], m[..., 2, :])).sum(-1)


def _without_hydrogens(mol: Chem.Mol) -> Chem.RWMol:
    """Drop every hydrogen atom, whatever RemoveHs would keep, leaving the heavy atoms in their order."""
    graph = Chem.RWMol(mol)
    graph.BeginBatchEdit()
    for atom in mol.GetAtoms():
        if atom.GetAtomicNum() == 1:
            graph.RemoveAtom(atom.GetIdx())
    graph.CommitBatchEdit()
    return graph
