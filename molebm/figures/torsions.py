"""Energies against one torsion angle."""

from __future__ import annotations

from typing import Final

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from molebm.errors import RequestError
from molebm.figures.style import given_or_new

WIDEST_GAP: Final = 60.0  # degrees; what leaves no wider one goes all the way round


def plot_torsion_profile(
    angles: ArrayLike, energies: ArrayLike, axes: Axes | None = None, *, label: str | None = None
) -> Axes:
    """Plot energies (T,) kcal/mol above their lowest against angles (T,) in degrees, and return the axes.

    Plot another energy into the same axes to compare the two.

    Parameters
    ----------
    axes
        Where to plot; those of a new figure if left out.
    label
        What the curve is called in the legend; without one there is none.

    Raises
    ------
    RequestError
        If there are not as many of each.
    """
    x, y = (np.asarray(values, dtype=float) for values in (angles, energies))
    if x.shape != y.shape or not len(x):
        raise RequestError(f"there are {len(x)} angles and {len(y)} energies; give one of each for every point")
    axes = given_or_new(axes)
    x = (x + 180) % 360 - 180
    order = np.argsort(x, kind="stable")
    x, y = x[order], y[order] - np.nanmin(y)
    if np.diff(x, append=x[0] + 360).max() <= WIDEST_GAP:
        x, y = np.r_[x[-1] - 360, x, x[0] + 360], np.r_[y[-1], y, y[0]]
    axes.plot(x, y, marker="o", markersize=3.5, linewidth=1.3, label=label)
    axes.set(xlim=(-180, 180), xticks=range(-180, 181, 60), xlabel="torsion, °", ylabel="energy, kcal/mol")
    axes.set_ylim(bottom=min(axes.get_ylim()[0], 0.0))
    if label is not None:
        axes.legend(frameon=False)
    return axes
