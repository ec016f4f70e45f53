"""Which kinds of energy there are, found by name and imported when asked for."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Final

from molebm.errors import RequestError
from molebm.family.config import FamilyConfig, checked, read_toml
from molebm.family.interface import FamilyModel

KINDS: Final = {  # module:class
    "rbm": "molebm.family.rbm:RestrictedBoltzmannMachine",
    "dbn": "molebm.family.dbn:DeepBeliefNetwork",
    "mlp": "molebm.family.mlp:DescriptorEnergy",
    "jem": "molebm.family.jem:JointEnergyModel",
    "cnn": "molebm.family.cnn_energy:CnnEnergy",
    "score": "molebm.family.score:ScoreModel",
    "diffusion_recovery": "molebm.family.diffusion_recovery:DiffusionModel",
}


def model_class(kind: str) -> type[FamilyModel]:
    """Import the class of a kind.

    Raises
    ------
    RequestError
        If there is no such kind.
    """
    if kind not in KINDS:
        raise RequestError(f"there is no model '{kind}'; known are {', '.join(KINDS)}")
    module, name = KINDS[kind].split(":")
    return getattr(importlib.import_module(module), name)


def read_family_config(path: Path) -> FamilyConfig | None:
    """Read the settings of a run of the family, or None where the file names no model.

    Raises
    ------
    RequestError
        If the file is missing or not TOML, or a key is unknown or out of range.
    """
    keys = read_toml(path)
    if "model" not in keys:
        return None
    return checked(model_class(str(keys["model"])).Config, keys, path)
