"""molebm: scientific molecular energy models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molebm.conformers import generate
    from molebm.family.checkpoint import load_model
    from molebm.interop.openmm_system import to_openmm
    from molebm.plausibility import score
    from molebm.plausibility.repair import repair

__version__ = "0.1.0"
__all__ = ["__version__", "generate", "load_model", "repair", "score", "to_openmm"]

_HOMES = {
    "generate": "molebm.conformers",
    "load_model": "molebm.family.checkpoint",
    "repair": "molebm.plausibility.repair",
    "score": "molebm.plausibility",
    "to_openmm": "molebm.interop.openmm_system",
}


def __getattr__(name: str) -> Any:
    """Import the public calls when they are first used, so that importing molebm costs nothing."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'molebm' has no attribute {name!r}")
