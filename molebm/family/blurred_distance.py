"""What noise makes of a distance: the exact density of two atoms that were a shell apart."""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SMALLEST = 1e-4  # of the reduced distance, below which the density is flat to single precision


def log_blurred_shell(distance: Tensor, radius: Tensor, variance: Tensor) -> Tensor:
    r"""Logarithm of the density, in space, of a vector of length `radius` and any direction after Gaussian noise.

    .. math:: \ln p(r) = -\frac{(r - \mu)^2}{2v} + \ln\frac{1 - e^{-2z}}{2z} - \tfrac32\ln 2\pi v,
              \quad z = \frac{r\mu}{v}

    Much narrower than the shell, noise leaves a harmonic well about :math:`\mu`; much wider, a Gaussian about
    nought. Its force is :math:`-(r - \mu L(z))/v` with the function of Langevin, :math:`L(z) = \coth z - 1/z`.

    Parameters
    ----------
    distance, radius
        Å.
    variance
        Å², of each component of the vector.
    """
    z = (distance * radius / variance).clamp(min=_SMALLEST)
    spherical = torch.log(-torch.expm1(-2 * z)) - torch.log(2 * z)
    return spherical - (distance - radius).square() / (2 * variance) - 1.5 * torch.log(2 * math.pi * variance)


def mean_pull(distance: Tensor, radius: Tensor, variance: Tensor) -> Tensor:
    """Derivative of `log_blurred_shell` by the distance, 1/Å."""
    z = (distance * radius / variance).clamp(min=_SMALLEST)
    langevin = 1 - 2 * torch.exp(-2 * z) / torch.expm1(-2 * z) - 1 / z
    return (radius * torch.where(z < 0.05, z / 3, langevin) - distance) / variance
