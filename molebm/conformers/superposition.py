"""The best superposition of many pairs of conformers at once, from their correlation matrices alone."""

from __future__ import annotations

from typing import Final, NamedTuple

import torch
from torch import Tensor

_STEPS: Final = {torch.float32: 2, torch.float64: 4}  # of Laguerre's method; near mirror images want the later ones


class _Invariants(NamedTuple):
    """What the eigenvalues of the key matrix depend on."""

    square: Tensor  # Σ s²
    cofactors: Tensor  # Σ s²s'² over pairs
    determinant: Tensor


def largest_overlap(m: Tensor) -> Tensor:
    r"""Maximise :math:`\mathrm{tr}(R^\mathsf{T} M)` over rotations R, for correlation matrices (3, 3, ...).

    The maximum λ, Å² for positions in Å, is the largest root of
    :math:`(\lambda^2 - \Sigma s^2)^2 - 4\,\Sigma s^2 s'^2 - 8 \lambda \det M` with the singular values s of M. It is
    found from above by Laguerre's method, beginning from a bound that meets it where two of them are zero.
    In single precision it may end above λ by 1 % where the conformers are nearly mirror images.

    References
    ----------
    Theobald, Acta Cryst. A61, 478 (2005): the quaternion key matrix, whose characteristic polynomial this is.
    """
    f, g, d = _invariants(m)
    x = g.mul(3).sqrt_().mul_(2).add_(f).sqrt_()
    x = torch.addcmul(g, d.clamp(min=0), x, value=2).sqrt_().mul_(2).add_(f).sqrt_()
    tiny = torch.finfo(m.dtype).tiny
    lowest = f.addcdiv(g, f.clamp(min=tiny), value=-2).clamp_(min=0).sqrt_()  # of the largest singular value
    d, g = d.mul_(8), g.mul_(4)
    a, value, slope = (torch.empty_like(x) for _ in range(3))
    for _ in range(_STEPS[m.dtype]):
        torch.addcmul(f, x, x, value=-1, out=a).neg_()
        torch.mul(a, a, out=value).sub_(g).addcmul_(d, x, value=-1)
        torch.mul(a, x, out=slope).mul_(4).sub_(d)
        a.mul_(12).add_(f, alpha=8)  # the second derivative
        a.mul_(value).mul_(-12).addcmul_(slope, slope, value=9)
        slope.add_(a.clamp_(min=0).sqrt_()).clamp_(min=tiny)
        x.addcdiv_(value, slope, value=-4)
        torch.maximum(x, lowest, out=x)
    return x


def best_rotation(m: Tensor) -> Tensor:
    """Return the rotations that maximise the overlap, (3, 3, ...), each times a positive number.

    They are the derivatives of the overlap with respect to M.
    """
    x = largest_overlap(m)
    f, _, _ = _invariants(m)
    rotation = (x * x + f) * m + 2 * x * _cofactors(m)
    for i in range(3):
        for j in range(3):
            across = m[i, 0] * m[j, 0] + m[i, 1] * m[j, 1] + m[i, 2] * m[j, 2]
            rotation[i].addcmul_(across, m[j], value=-2)
    return rotation


def _invariants(m: Tensor) -> _Invariants:
    square = m[0, 0] * m[0, 0]
    for k in range(1, 9):
        square.addcmul_(m[k // 3, k % 3], m[k // 3, k % 3])
    cofactors, determinant = torch.zeros_like(square), torch.zeros_like(square)
    for i in range(3):
        for j in range(3):
            cofactor = _cofactor(m, i, j)
            cofactors.addcmul_(cofactor, cofactor)
            if i == 0:
                determinant.addcmul_(m[0, j], cofactor)
    return _Invariants(square, cofactors, determinant)


def _cofactors(m: Tensor) -> Tensor:
    return torch.stack([torch.stack([_cofactor(m, i, j) for j in range(3)]) for i in range(3)])


def _cofactor(m: Tensor, i: int, j: int) -> Tensor:
    k, n, p, q = (i + 1) % 3, (i + 2) % 3, (j + 1) % 3, (j + 2) % 3
    return (m[k, p] * m[n, q]).addcmul_(m[k, q], m[n, p], value=-1)
