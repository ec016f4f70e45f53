"""Molecules and numbers as pictures: drawings, plots, views in space, and pages that carry all of these inside."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molebm.figures.depiction import depict
    from molebm.figures.energies import plot_energies
    from molebm.figures.free_energies import plot_free_energies
    from molebm.figures.torsions import plot_torsion_profile
    from molebm.figures.training import plot_training, read_training_log
    from molebm.figures.views import view

__all__ = [
    "depict",
    "plot_energies",
    "plot_free_energies",
    "plot_torsion_profile",
    "plot_training",
    "read_training_log",
    "view",
]

_HOMES = {
    "depict": "molebm.figures.depiction",
    "plot_energies": "molebm.figures.energies",
    "plot_free_energies": "molebm.figures.free_energies",
    "plot_torsion_profile": "molebm.figures.torsions",
    "plot_training": "molebm.figures.training",
    "read_training_log": "molebm.figures.training",
    "view": "molebm.figures.views",
}


def __getattr__(name: str) -> Any:
    """Import the public calls when they are first used."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'molebm.figures' has no attribute {name!r}")
