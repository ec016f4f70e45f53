"""Internal coordinates of conformers laid in the trailing axis.

All functions take positions (3, N, C) and index rows, and return one row per term, (T, C).
"""

import torch
from torch import Tensor

_TINY = 1e-12  # Å², keeps roots and their gradients finite for coincident atoms


def distance(positions: Tensor, first: Tensor, second: Tensor) -> Tensor:
    """Distance between two atoms, Å."""
    return norm(positions[:, second] - positions[:, first])


def cos_angle(positions: Tensor, angles: Tensor) -> Tensor:
    """Cosine of the angle at the middle atom of (3, A) indices."""
    a = positions[:, angles[0]] - positions[:, angles[1]]
    b = positions[:, angles[2]] - positions[:, angles[1]]
    return (a * b).sum(0) * torch.rsqrt(square(a) * square(b) + _TINY)


def angle_from_cos(cosine: Tensor) -> Tensor:
    """Angle in rad, its gradient kept finite at 0 and π."""
    bound = 1 - 8 * torch.finfo(cosine.dtype).eps
    return torch.acos(cosine.clamp(-bound, bound))


def cos_torsion(positions: Tensor, torsions: Tensor) -> Tensor:
    """Cosine of the dihedral angle of (4, T) indices; trans is -1."""
    b0 = positions[:, torsions[0]] - positions[:, torsions[1]]
    b1 = positions[:, torsions[2]] - positions[:, torsions[1]]
    b2 = positions[:, torsions[3]] - positions[:, torsions[2]]
    m, n = cross(b0, b1), cross(b2, b1)
    return (m * n).sum(0) * torch.rsqrt(square(m) * square(n) + _TINY)


def torsion_angle(positions: Tensor, torsions: Tensor) -> Tensor:
    """Signed dihedral angle of (4, T) indices, rad in (-π, π], IUPAC sign."""
    b0 = positions[:, torsions[0]] - positions[:, torsions[1]]
    b1 = positions[:, torsions[2]] - positions[:, torsions[1]]
    b2 = positions[:, torsions[3]] - positions[:, torsions[2]]
    m, n = cross(b0, b1), cross(b2, b1)
    return torch.atan2((cross(m, n) * b1).sum(0), (m * n).sum(0) * norm(b1))


def sin_wilson(positions: Tensor, impropers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Sines of the three Wilson angles at the trigonal centre, row 1 of (4, O) indices.

    Each of the three bonds in turn is measured against the plane of the other two.
    """
    i, j, k, m = (positions[:, row] for row in impropers)
    a, b, c = i - j, k - j, m - j
    ab, bc, ca = cross(a, b), cross(b, c), cross(c, a)
    volume = (ab * c).sum(0)
    return (
        volume * torch.rsqrt(square(ab) * square(c) + _TINY),
        volume * torch.rsqrt(square(bc) * square(a) + _TINY),
        volume * torch.rsqrt(square(ca) * square(b) + _TINY),
    )


def triple_product(positions: Tensor, centres: Tensor) -> Tensor:
    """Signed volume (a - o) · (b - o) x (c - o) of (4, S) indices o, a, b, c; Å³."""
    o, a, b, c = (positions[:, row] for row in centres)
    return ((a - o) * cross(b - o, c - o)).sum(0)


def cross(a: Tensor, b: Tensor) -> Tensor:
    """Cross product along the leading axis."""
    return torch.stack((a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]))


def square(a: Tensor) -> Tensor:
    """Squared length along the leading axis."""
    return a.square().sum(0)


def norm(a: Tensor) -> Tensor:
    """Length along the leading axis, with a finite gradient at zero."""
    return (square(a) + _TINY).sqrt()
