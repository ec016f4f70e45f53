"""What trusted structures look like, by where they come from: the scale that others are held against."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from molebm.errors import CheckpointError, RequestError
from molebm.plausibility.environments import Norm
from molebm.plausibility.joint_energy import joint_from_json, joint_to_json, rounded
from molebm.plausibility.observations import KINDS
from molebm.plausibility.statistics import Norms
from molebm.plausibility.yardstick import JOINTS, Source, Yardstick

Numbers = NDArray[np.float64]

FORMAT: Final = 4
SHIPPED: Final = "calibration.json"


@dataclass(frozen=True)
class Calibration:
    """What is usual in each environment, and trusted structures by their source."""

    energy: str  # name of the energy that it was made with
    norms: Norms
    sources: Mapping[str, Source]

    def yardstick(self, source: str, measured: frozenset[str]) -> Yardstick:
        """Return that of one source, for the statistics that are measured.

        Raises
        ------
        RequestError
            If there is no such source.
        """
        if source not in self.sources:
            known = ", ".join(self.sources)
            raise RequestError(f"the calibration has no source {source!r}; choose from {known}, or calibrate your own")
        return Yardstick(self.sources[source], measured)


def load_calibration(path: str | Path | None = None) -> Calibration:
    """Read a calibration written as `to_json` lays it out; the shipped one where the path is None.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or of another version.
    """
    try:
        if path is None:
            text = files("molebm.plausibility").joinpath(SHIPPED).read_text(encoding="utf-8")
        else:
            text = Path(path).read_text(encoding="utf-8")
        content = json.loads(text)
        if content.get("format") != FORMAT:
            raise ValueError("it is of another version")
        return _from_json(content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise CheckpointError(f"calibration '{path or SHIPPED}' cannot be read: {error}; calibrate again") from error


def to_json(calibration: Calibration) -> dict[str, Any]:
    """Lay a calibration out in what JSON knows."""
    return {
        "format": FORMAT,
        "energy": calibration.energy,
        "sources": {
            name: {
                "provenance": source.provenance,
                "heavy_atoms": source.heavy_atoms.astype(int).tolist(),
                "joint": {s: joint_to_json(energy) for s, energy in source.joint.items()},
                "statistics": {s: rounded(values) for s, values in source.statistics.items()},
            }
            for name, source in calibration.sources.items()
        },
        "norms": {
            kind: {
                "centre": norm.centre,
                "scale": norm.scale,
                "keys": norm.keys.tolist(),
                "centres": rounded(norm.centres),
                "scales": rounded(norm.scales),
            }
            for kind, norm in calibration.norms.items()
        },
    }


def _from_json(content: Mapping[str, Any]) -> Calibration:
    norms = {
        kind.name: Norm(
            float(stored["centre"]),
            float(stored["scale"]),
            np.array(stored["keys"], dtype=np.int64),
            np.array(stored["centres"], dtype=float),
            np.array(stored["scales"], dtype=float),
        )
        for kind in KINDS
        for stored in [content["norms"][kind.name]]
    }
    sources = {
        name: Source(
            stored["provenance"],
            {s: np.array(values, dtype=float) for s, values in stored["statistics"].items()},
            np.array(stored["heavy_atoms"], dtype=float),
            {name: joint_from_json(stored["joint"][name]) for name in JOINTS},
        )
        for name, stored in content["sources"].items()
    }
    return Calibration(str(content["energy"]), norms, sources)
