"""Root-mean-square distance of heavy atoms after the best superposition, equivalent atoms exchanged.

Many pairs at a time: the correlation matrices are products of matrices, and the rest are a few dozen passes
over arrays that stay in the cache.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molebm.conformers.superposition import best_rotation, largest_overlap
from molebm.conformers.symmetry import Symmetry

_BLOCK: Final = 16_384  # pairs in one pass
_SLENDER: Final = 0.03  # breadth to length, below which single precision does not tell the rotation about the axis
_ROUNDS: Final = 2  # of superposing and matching


def rmsd_matrix(
    positions: NDArray[np.float64],
    symmetry: Symmetry,
    others: NDArray[np.float64] | None = None,
    *,
    precision: torch.dtype = torch.float32,
) -> NDArray[np.floating]:
    """Compare each of A conformers with each of B others, or with one another, giving (A, B) Å.

    Mirror images are not superposed. Each of the orders of `symmetry` is tried. Its groups are matched after a
    superposition on their mean, and again after that on the match: nearly always the best match, and else
    one whose distance is too large.

    Parameters
    ----------
    positions, others
        (A, N, 3) and (B, N, 3) Å, all atoms of the molecule.
    precision
        Single precision errs by 1e-5 Å, by 3e-3 Å near zero, and by 1 % between near mirror images; slender
        molecules are computed in double.

    References
    ----------
    Theobald, Acta Cryst. A61, 478 (2005).
    """
    a = _centred(positions[:, symmetry.heavy])
    b = a if others is None else _centred(others[:, symmetry.heavy])
    if _slender(a) or _slender(b):
        precision = torch.float64
    x, y = (torch.from_numpy(frames.transpose(2, 0, 1)).to(precision).contiguous() for frames in (a, b))
    found = torch.zeros((len(a), len(b)), dtype=precision)
    block = _BLOCK // (1 + sum(len(group) for group in symmetry.groups))
    start = 0
    while start < len(a):
        after = 0 if others is not None else start
        rows = slice(start, start + max(1, block // max(1, len(b) - after)))
        found[rows, after:] = _distances(x[:, rows], y[:, after:], symmetry)
        start = rows.stop
    if others is None:
        upper = found.triu_(1)
        found = upper + upper.T
    return found.numpy()


def best_rmsd(reference: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """Compare conformers with a reference in each order of its atoms, giving the least distance of each, (K,) Å.

    Parameters
    ----------
    reference
        (M, n, 3) Å, centred, one conformer in M orders.
    others
        (K, n, 3) Å, centred.
    """
    x, y = (torch.from_numpy(frames.transpose(2, 0, 1)).double().contiguous() for frames in (reference, others))
    overlap = largest_overlap(_correlation(x, y)).amax(dim=0)
    spread = x[:, 0].square().sum() + y.square().sum((0, 2))
    return ((spread - 2 * overlap) / x.shape[2]).clamp(min=0).sqrt().numpy()


def _distances(x: Tensor, y: Tensor, symmetry: Symmetry) -> Tensor:
    """Compare x (3, A, n) with y (3, B, n), giving the least distance over all orders, (A, B) Å."""
    overlap = x.new_zeros((x.shape[1], y.shape[1]))  # none is less
    for order in symmetry.orders:
        z = y[..., torch.from_numpy(order)]
        m = _matched(x, z, symmetry.groups) if symmetry.groups else _correlation(x, z)
        torch.maximum(overlap, largest_overlap(m), out=overlap)
    spread = x.square().sum((0, 2)).unsqueeze(1) + y.square().sum((0, 2))
    return spread.sub_(overlap, alpha=2).div_(x.shape[2]).clamp_(min=0).sqrt_()


def _matched(x: Tensor, y: Tensor, groups: tuple[NDArray[np.int64], ...]) -> Tensor:
    """Correlate x and y, with each group in the order that overlaps most, (3, 3, A, B)."""
    fixed = np.ones(x.shape[2], dtype=bool)
    choices = []
    for group in groups:
        atoms = (group != group[0]).any(axis=0)
        fixed &= ~atoms
        choices.append(torch.stack([_correlation(x[..., atoms], y[..., order[atoms]]) for order in group]))
    rest = _correlation(x[..., fixed], y[..., fixed])
    m = rest + torch.stack([choice.mean(dim=0) for choice in choices]).sum(dim=0)
    for _ in range(_ROUNDS):
        rotation = best_rotation(m)
        m = rest.clone()
        for choice in choices:  # (K, 3, 3, A, B)
            best = (choice * rotation).sum((1, 2)).argmax(dim=0)
            m += choice.gather(0, best.expand(1, *m.shape)).squeeze(0)
    return m


def _correlation(x: Tensor, y: Tensor) -> Tensor:
    """Correlate x (3, A, n) with y (3, B, n), giving (3, 3, A, B)."""
    _, a, n = x.shape
    b = y.shape[1]
    product = x.reshape(3 * a, n) @ y.reshape(3 * b, n).T
    return product.view(3, a, 3, b).transpose(1, 2)


def _slender(frames: NDArray[np.float64]) -> bool:
    """Whether some conformer is nearly a line."""
    widths = np.linalg.eigvalsh(np.swapaxes(frames, 1, 2) @ frames)
    return bool((np.maximum(widths[:, 1], 0) < _SLENDER**2 * widths[:, 2]).any())


def _centred(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    return frames - frames.mean(axis=1, keepdims=True)
