"""How implausible each frame of a trajectory is, and by which channel, along its course."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from molebm.errors import RequestError
from molebm.figures.colours import COLOUR_STOPS
from molebm.figures.style import BLUE, RED, STYLE, given_or_new

HIGHEST: Final = 5.0  # score at which the scale of colours ends: one trusted structure in 100,000
_WIDTH, _HEIGHT, _CHANNEL = 7.2, 2.6, 0.22  # inches, the last of each channel


def plot_score_trace(
    places: ArrayLike, scores: ArrayLike, flagged: ArrayLike, axes: Axes | None = None, *, alpha: float | None = None
) -> Axes:
    """Plot scores (n,) at places (n,) along a trajectory, those flagged (n,) in red, and return the axes.

    Parameters
    ----------
    scores
        nan where there is none.
    axes
        Where to plot; those of a new figure if left out.
    alpha
        Rate of false alarms, at whose common logarithm a line is drawn.

    Raises
    ------
    RequestError
        If there are not as many of each.
    """
    x, y = (np.asarray(values, dtype=float) for values in (places, scores))
    marked = np.asarray(flagged, dtype=bool)
    if not x.shape == y.shape == marked.shape:
        raise RequestError(f"{len(x)} places, {len(y)} scores, {len(marked)} flags: give one of each for every frame")
    axes = given_or_new(axes)
    axes.plot(x, y, color=BLUE, linewidth=0.8)
    axes.scatter(x[~marked], y[~marked], s=4, color=BLUE, linewidth=0)
    axes.scatter(x[marked], y[marked], s=10, color=RED, linewidth=0, label="flagged", zorder=3)
    if alpha is not None:
        axes.axhline(-math.log10(alpha), color="#8792a2", linewidth=0.8, linestyle=":")
    axes.set(ylabel="score")
    axes.set_ylim(bottom=0)
    return axes


def score_trace(
    places: Sequence[int],
    scores: Sequence[float],
    flagged: Sequence[bool],
    channels: Mapping[str, Sequence[float]],
    *,
    alpha: float,
    place: str,
) -> Figure:
    """Draw the scores along a trajectory over a map of those of each channel, `place` being what is counted.

    Frames without a score are gaps. A channel that is missing everywhere is left out.
    """
    shown = {name: values for name, values in channels.items() if np.isfinite(np.asarray(values, dtype=float)).any()}
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(_WIDTH, _HEIGHT + _CHANNEL * (len(shown) + 1)), layout="constrained")
        heights = [_HEIGHT, _CHANNEL * max(len(shown), 1)]
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=heights)
        plot_score_trace(places, scores, flagged, above, alpha=alpha)
        if any(flagged):
            above.legend(frameon=False, loc="upper right")
        if shown:
            picture = below.pcolormesh(
                _edges(places),
                np.arange(len(shown) + 1),
                np.array([list(values) for values in shown.values()], dtype=float),
                cmap=LinearSegmentedColormap.from_list("molebm", COLOUR_STOPS),
                vmin=0,
                vmax=HIGHEST,
                rasterized=True,
            )
            figure.colorbar(picture, ax=below, label="score", extend="max")
        below.set_yticks(np.arange(len(shown)) + 0.5, list(shown))
        below.invert_yaxis()
        below.set(xlabel=place)
    return figure


def _edges(places: Sequence[int]) -> np.ndarray:
    """Return where each place begins and ends, (n + 1,)."""
    x = np.asarray(places, dtype=float)
    steps = np.diff(x) if len(x) > 1 else np.ones(1)
    return np.concatenate([[x[0] - steps[0] / 2], (x[1:] + x[:-1]) / 2, [x[-1] + steps[-1] / 2]])
