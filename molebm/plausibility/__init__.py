"""How plausible given structures are, and what is wrong where."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from molebm.plausibility.calibrating import calibrate
    from molebm.plausibility.calibration import load_calibration
    from molebm.plausibility.diagnosis import load_diagnostician
    from molebm.plausibility.scores import Score
    from molebm.plausibility.scoring import score, score_records
    from molebm.plausibility.surprise import conformal_p_value

__all__ = [
    "Score",
    "calibrate",
    "conformal_p_value",
    "load_calibration",
    "load_diagnostician",
    "score",
    "score_records",
]

_HOMES = {
    "Score": "molebm.plausibility.scores",
    "calibrate": "molebm.plausibility.calibrating",
    "conformal_p_value": "molebm.plausibility.surprise",
    "load_calibration": "molebm.plausibility.calibration",
    "load_diagnostician": "molebm.plausibility.diagnosis",
    "score": "molebm.plausibility.scoring",
    "score_records": "molebm.plausibility.scoring",
}


def __getattr__(name: str) -> Any:
    """Import the public calls when they are first used."""
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'molebm.plausibility' has no attribute {name!r}")
