"""Populations and free energies over two torsion angles, as over φ and ψ of a peptide."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike, NDArray

from molebm.errors import RequestError
from molebm.figures.style import given_or_new
from molebm.units import thermal_energy

BINS: Final = 24  # in each angle, 15 degrees wide
HIGHEST: Final = 5.0  # kcal/mol on the scale of colours


def plot_free_energies(
    first: ArrayLike,
    second: ArrayLike,
    axes: Axes | None = None,
    *,
    temperature: float = 300.0,
    names: tuple[str, str] = ("φ", "ψ"),
    bins: int = BINS,
    highest: float = HIGHEST,
    scale: bool = True,
) -> Axes:
    """Plot -kT ln p over two angles (S,) in degrees, and return the axes; what was never visited stays white.

    Parameters
    ----------
    axes
        Where to plot; those of a new figure if left out.
    temperature
        K, of the samples.
    bins
        In each angle.
    highest
        kcal/mol above the most populated bin, at the end of the scale of colours.
    scale
        Whether to draw that scale beside the map.
    """
    axes = given_or_new(axes)
    found = free_energies(populations(first, second, bins), thermal_energy(temperature))
    extent = (-180.0, 180.0, -180.0, 180.0)
    image = axes.imshow(found.T, origin="lower", extent=extent, vmin=0, vmax=highest, cmap="viridis", aspect="equal")
    ticks = (-180, -90, 0, 90, 180)
    axes.set(xlabel=f"{names[0]}, °", ylabel=f"{names[1]}, °", xticks=ticks, yticks=ticks)
    if scale:
        axes.figure.colorbar(image, ax=axes, label="free energy, kcal/mol")
    return axes


def populations(first: ArrayLike, second: ArrayLike, bins: int = BINS) -> NDArray[np.float64]:
    """Histogram of two angles (S,) in degrees over the torus, (bins, bins), summing to one.

    Raises
    ------
    RequestError
        If there are no angles, or not as many of each.
    """
    x, y = (np.asarray(angles, dtype=float).ravel() for angles in (first, second))
    if len(x) != len(y) or not len(x):
        raise RequestError(f"there are {len(x)} angles of the first torsion and {len(y)} of the second; give pairs")
    columns = [((angles + 180) % 360 / 360 * bins).astype(int).clip(0, bins - 1) for angles in (x, y)]
    counts = np.bincount(columns[0] * bins + columns[1], minlength=bins * bins).astype(float)
    return (counts / counts.sum()).reshape(bins, bins)


def free_energies(populations: NDArray[np.float64], kT: float) -> NDArray[np.float64]:
    """Turn populations into kcal/mol above the most populated bin; NaN where nothing was."""
    with np.errstate(divide="ignore"):
        found = -kT * np.log(populations)
    return np.where(populations > 0, found - found.min(), np.nan)
