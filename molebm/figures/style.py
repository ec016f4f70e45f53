"""How plots look, and how they are put into pages."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK: Final = "#3c4858"
BLUE: Final = "#2b6cb0"
RED: Final = "#d7301f"
STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # letters, not outlines
    "svg.hashsalt": "molebm",  # the same names in every run
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8792a2",
    "axes.labelcolor": INK,
    "xtick.color": "#5b6776",
    "ytick.color": "#5b6776",
}


def given_or_new(axes: Axes | None) -> Axes:
    """Return the axes that were given, or those of a new figure, which no global state holds."""
    return Figure(figsize=(5.2, 3.6), layout="constrained").add_subplot() if axes is None else axes


def svg(draw: Callable[[Axes], object], size: tuple[float, float] = (5.2, 3.4)) -> str:
    """Let a function draw into axes of this size in inches, and return an SVG element for an HTML page."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, layout="constrained")
        draw(figure.add_subplot())
        written = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    text = written.getvalue()
    return text[text.index("<svg") :]
