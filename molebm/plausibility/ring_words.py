"""What is unusual about the shape of a ring, told once and not torsion by torsion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from molebm.plausibility.findings import Finding
from molebm.plausibility.observations import FLAT, RING

FEWEST: Final = 3  # torsions of a ring that are off, for it to be told as a whole
NEARLY_FLAT: Final = 15.0  # degrees, of torsions on average
CHAIR: Final = (45.0, 65.0)  # the same, in rings of six


def told_by_ring(listed: Sequence[Finding], rings: Sequence[Sequence[int]], symbols: Sequence[str]) -> list[Finding]:
    """Tell the torsions of one ring that are off as one finding, where the worst of them stood.

    Parameters
    ----------
    listed
        What was found in one structure, the worst first.
    rings
        Atoms of its rings, in their order.
    symbols
        (N,) of its atoms.
    """
    told = list(listed)
    for ring in rings:
        for kind, bond, whole in ((RING, slice(None), _pucker), (FLAT, slice(1, 3), _warp)):
            own = [finding for finding in told if finding.kind == kind.name and set(finding.atoms[bond]) <= set(ring)]
            if len(own) >= FEWEST:
                told[told.index(own[0])] = whole(own, ring, symbols)
                told = [finding for finding in told if finding not in own]
    return told


def _warp(own: Sequence[Finding], ring: Sequence[int], symbols: Sequence[str]) -> Finding:
    """Tell of a ring that should be flat; the atoms that it bears count."""
    off = max(abs((f.given - f.expected + 180) % 360 - 180) for f in own)
    words = f"ring {_named(ring, symbols)} not flat: torsions off by up to {off:.0f}°"
    return own[0]._replace(atoms=tuple(ring), given=off, expected=0.0, words=words)


def _pucker(own: Sequence[Finding], ring: Sequence[int], symbols: Sequence[str]) -> Finding:
    given, expected = (
        float(np.mean(np.abs(values))) for values in zip(*((f.given, f.expected) for f in own), strict=True)
    )
    shape = "flat" if given < NEARLY_FLAT else "too flat" if given < expected else "too puckered"
    usual = "chair" if len(ring) == 6 and CHAIR[0] <= expected <= CHAIR[1] else f"{expected:.0f}"
    words = f"ring {_named(ring, symbols)} {shape}: torsions of {given:.0f}° on average, expected {usual}"
    return own[0]._replace(atoms=tuple(ring), given=given, expected=expected, words=words)


def _named(ring: Sequence[int], symbols: Sequence[str]) -> str:
    return "–".join(f"{symbols[atom]}{atom}" for atom in ring)
