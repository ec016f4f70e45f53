"""The scale that atoms are coloured on."""

from __future__ import annotations

from typing import Final

COLOUR_STOPS: Final = ("#dfe3e8", "#fdd888", "#f9964b", "#e3342a")  # from no score to the highest


def colour(share: float) -> str:
    """Blend the stops of the scale; `share` runs from 0 to 1."""
    at = min(max(share, 0.0), 1.0) * (len(COLOUR_STOPS) - 1)
    first = min(int(at), len(COLOUR_STOPS) - 2)
    low, high = rgb(COLOUR_STOPS[first]), rgb(COLOUR_STOPS[first + 1])
    blended = (a + (at - first) * (b - a) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in blended)


def rgb(colour: str) -> tuple[float, float, float]:
    """Turn a colour as HTML has it into shares of red, green and blue."""
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
