"""How plausible given structures are, and what is wrong where."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molebm.plausibility.calibration import ensemble_scores
    from molebm.plausibility.conformal import conformal_p_value
    from molebm.plausibility.scoring import Score, score, score_records

__all__ = ["Score", "conformal_p_value", "ensemble_scores", "score", "score_records"]

_HOMES = {
    "Score": "molebm.plausibility.scoring",
    "conformal_p_value": "molebm.plausibility.conformal",
    "ensemble_scores": "molebm.plausibility.calibration",
    "score": "molebm.plausibility.scoring",
    "score_records": "molebm.plausibility.scoring",
}


def __getattr__(name: str) -> Any:
    """Import the public calls when they are first used, so that calibration runs where RDKit is not."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'molebm.plausibility' has no attribute {name!r}")
