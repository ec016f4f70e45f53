"""molebm: scientific molecular energy models."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molebm.conformers import generate
    from molebm.family.checkpoint import load_model
    from molebm.figures import depict, view
    from molebm.interop.ase_calculator import to_ase
    from molebm.interop.mdtraj_trajectory import to_mdtraj
    from molebm.interop.openmm_system import to_openmm
    from molebm.interop.pyg_data import to_pyg
    from molebm.plausibility import score
    from molebm.plausibility.repair import repair

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "depict",
    "generate",
    "load_model",
    "repair",
    "score",
    "to_ase",
    "to_mdtraj",
    "to_openmm",
    "to_pyg",
    "view",
]

_HOMES = {
    "depict": "molebm.figures",
    "generate": "molebm.conformers",
    "load_model": "molebm.family.checkpoint",
    "repair": "molebm.plausibility.repair",
    "score": "molebm.plausibility",
    "to_ase": "molebm.interop.ase_calculator",
    "to_mdtraj": "molebm.interop.mdtraj_trajectory",
    "to_openmm": "molebm.interop.openmm_system",
    "to_pyg": "molebm.interop.pyg_data",
    "view": "molebm.figures",
}


def __getattr__(name: str) -> Any:
    """Import the public calls when they are first used, so that importing molebm costs nothing."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'molebm' has no attribute {name!r}")
