"""Energies of conformers against how far they are from the lowest."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import ArrayLike

from molebm.errors import RequestError
from molebm.figures.style import BLUE, given_or_new


def plot_energies(
    energies: ArrayLike, rmsds: ArrayLike, axes: Axes | None = None, *, weights: Sequence[float] | None = None
) -> Axes:
    """Plot energies (C,) kcal/mol above the lowest against RMSDs (C,) Å from that conformer, and return the axes.

    A funnel says that the lowest is where the search went again and again; two groups with one energy are two
    shapes between which the energy does not choose.

    Parameters
    ----------
    axes
        Where to plot; those of a new figure if left out.
    weights
        (C,) of Boltzmann, shown by the area of the points.

    Raises
    ------
    RequestError
        If there are not as many of each.
    """
    x, y = (np.asarray(values, dtype=float) for values in (rmsds, energies))
    if x.shape != y.shape or (weights is not None and len(weights) != len(y)):
        raise RequestError(f"{len(y)} energies, {len(x)} RMSDs: give one of each for every conformer")
    axes = given_or_new(axes)
    sizes = 14.0 if weights is None else 10 + 160 * np.asarray(weights, dtype=float)
    axes.scatter(x, y - np.nanmin(y) if len(y) else y, s=sizes, color=BLUE, alpha=0.65, linewidth=0)
    axes.set(xlabel="RMSD from the lowest, Å", ylabel="energy, kcal/mol")
    axes.set_xlim(left=min(-0.02 * x.max(initial=1.0), 0))
    return axes
