"""A few conformers that stand for many: chosen so that whatever was found lies near one of them."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.conformers.rmsd import rmsd_matrix
from molebm.conformers.selection import within_window
from molebm.conformers.symmetry import symmetry
from molebm.conformers.weights import boltzmann_weights
from molebm.errors import RequestError

_ROUNDS: Final = 5  # of moving each choice to the middle of what it stands for


def diverse_conformers(
    mol: Chem.Mol,
    positions: NDArray[np.float64],
    energies: NDArray[np.float64],
    *,
    n_conformers: int,
    energy_window: float = float("inf"),
    temperature: float = float("inf"),
) -> list[int]:
    """Choose conformers so that a candidate drawn by its weight is near one of them; by rising energy.

    The mean distance to the nearest of them is made small, the lowest conformer always being among them.

    Parameters
    ----------
    positions
        (C, N, 3) Å, hydrogens included; distances are over the heavy atoms, equivalent atoms exchanged.
    energies
        (C,) kcal/mol; a conformer that is not to be considered has infinity.
    energy_window
        kcal/mol above the lowest; conformers beyond are not considered.
    temperature
        K, of the Boltzmann weights of the candidates. All count the same at infinity.
    """
    waiting = within_window(energies, energy_window)
    if len(waiting) <= n_conformers:
        return waiting.tolist()
    weights = None if np.isinf(temperature) else boltzmann_weights(energies[waiting], temperature)
    chosen = medoids(rmsd_matrix(positions[waiting], symmetry(mol)), n_conformers, weights=weights)
    return waiting[np.sort(chosen)].tolist()


def medoids(
    cost: NDArray[np.floating], n: int, *, weights: NDArray[np.floating] | None = None, first: int = 0
) -> NDArray[np.int64]:
    r"""Choose n of C so that :math:`\sum_i w_i \min_{j\,\text{chosen}} \mathrm{cost}_{ij}` is small, with `first`.

    One after another is added that lowers the sum most, which reaches at least 63 % of what the best choice
    gains; then each is moved to the middle of those that it is nearest to. The result is in order of choice.

    Parameters
    ----------
    cost
        (C, C), symmetric, such as distances in Å.

    References
    ----------
    Nemhauser, Wolsey and Fisher, Math. Program. 14, 265 (1978); Park and Jun, Expert Syst. Appl. 36, 3336 (2009).
    """
    _check(cost, n)
    w = np.full(len(cost), 1 / len(cost)) if weights is None else weights / weights.sum()
    w = w.astype(cost.dtype)
    nearest = cost[first].copy()
    gains = (w @ (nearest[:, None] - np.minimum(cost, nearest[:, None]))).astype(np.float64)
    chosen = np.empty(min(n, len(cost)), dtype=np.int64)
    chosen[0] = first
    gains[first] = -np.inf
    for k in range(1, len(chosen)):
        chosen[k] = best = int(gains.argmax())
        gains[best] = -np.inf
        nearer = np.flatnonzero(cost[best] < nearest)
        old, new = nearest[nearer, None], cost[best, nearer, None]
        gains -= w[nearer] @ (old - cost[nearer].clip(new, old))
        nearest[nearer] = new[:, 0]
    return _centred(cost, chosen, w)


def farthest_first(distances: NDArray[np.floating], n: int, *, first: int = 0) -> NDArray[np.int64]:
    """Choose n of C, each as far as can be from the nearest chosen before it.

    The largest distance of any to its nearest is then at most twice the least possible. Outlying candidates come
    first, strained ones among them: where there are such, `medoids` come nearer to bound conformations.

    References
    ----------
    Gonzalez, Theor. Comput. Sci. 38, 293 (1985).
    """
    _check(distances, n)
    chosen = np.empty(min(n, len(distances)), dtype=np.int64)
    nearest = np.full(len(distances), np.inf)
    for k in range(len(chosen)):
        chosen[k] = first if k == 0 else nearest.argmax()
        nearest = np.minimum(nearest, distances[chosen[k]])
        nearest[chosen[k]] = -1
    return chosen


def _centred(cost: NDArray[np.floating], chosen: NDArray[np.int64], w: NDArray[np.floating]) -> NDArray[np.int64]:
    """Move each choice but the first to where the members of its part cost least, until none moves."""
    for _ in range(_ROUNDS):
        part = cost[chosen].argmin(axis=0)
        part[chosen] = np.arange(len(chosen))
        members = np.split(np.argsort(part, kind="stable"), np.cumsum(np.bincount(part, minlength=len(chosen)))[:-1])
        moved = chosen.copy()
        for k, those in enumerate(members[1:], 1):
            if len(those) > 2 or (len(those) == 2 and w[those[0]] != w[those[1]]):
                within = w[those] @ cost[np.ix_(those, those)]
                if within.min() < within[those == chosen[k]][0]:
                    moved[k] = those[within.argmin()]
        if (moved == chosen).all():
            break
        chosen = moved
    return chosen


def _check(cost: NDArray[np.floating], n: int) -> None:
    if n < 1 or cost.ndim != 2 or not 0 < len(cost) == cost.shape[1]:
        raise RequestError(f"asked to choose {n} by a table of shape {cost.shape}; give at least 1, and a square table")
