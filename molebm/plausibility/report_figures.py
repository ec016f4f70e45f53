"""The plot of a report: p-values against uniform ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from molebm.figures.style import INK, RED, svg

N_BINS: Final = 20


def p_value_histogram(counts: Sequence[int], alpha: float) -> str:
    """Plot how many p-values fall in each of the equal bins of (0, 1], as an SVG element for an HTML page.

    The band holds the counts of plausible structures, whose p-values are uniform, for 19 bins of 20 where the
    p-values are independent.
    """
    n, n_bins = sum(counts), len(counts)
    expected, spread = n / n_bins, 1.96 * math.sqrt(n / n_bins * (1 - 1 / n_bins))
    edges = np.linspace(0, 1, n_bins + 1)

    def draw(axes: Axes) -> None:
        unlikely = edges[1:] <= alpha * (1 + 1e-9)
        axes.bar(
            edges[:-1],
            counts,
            width=1 / n_bins,
            align="edge",
            color=np.where(unlikely, RED, "#6f9bd1"),
            edgecolor="white",
            linewidth=0.8,
        )
        axes.axhspan(max(0.0, expected - spread), expected + spread, color=INK, alpha=0.13, linewidth=0)
        axes.axhline(expected, color=INK, linewidth=1.2, linestyle="--", label="uniform (95 % of bins in band)")
        axes.axvline(alpha, color="#8c0d14", linewidth=1, linestyle=":", label=f"α = {alpha:g}")
        axes.set(xlim=(0, 1), xlabel="p-value", ylabel="structures")
        axes.set_ylim(0, 1.22 * max(*counts, expected + spread, 1))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, loc="upper right", ncols=2, fontsize=8)

    return svg(draw)
