"""Low-energy conformers of molecules."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molebm.conformers.generation import generate, generate_ensembles
    from molebm.conformers.outcomes import Ensemble, Failure
    from molebm.conformers.settings import GenerationSettings
    from molebm.conformers.sharding import Shard

__all__ = ["Ensemble", "Failure", "GenerationSettings", "Shard", "generate", "generate_ensembles"]

_HOMES = {
    "Ensemble": "molebm.conformers.outcomes",
    "Failure": "molebm.conformers.outcomes",
    "GenerationSettings": "molebm.conformers.settings",
    "Shard": "molebm.conformers.sharding",
    "generate": "molebm.conformers.generation",
    "generate_ensembles": "molebm.conformers.generation",
}


def __getattr__(name: str) -> Any:
    """Import the public calls when they are first used, so that `molebm generate --help` answers at once."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'molebm.conformers' has no attribute {name!r}")
