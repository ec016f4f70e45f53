"""Features of molecules by name: what models of the family read.

A kind of features is a function from its settings to a `Featurise`, which gives the tensors of one molecule.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeAlias

from rdkit import Chem
from torch import Tensor

from molebm.errors import RequestError

Featurise: TypeAlias = Callable[[Chem.Mol], dict[str, Tensor]]
"""A molecule to its tensors: "x", of one shape for all, and perhaps more. Raises MoleculeError where it has none."""

FEATURES: Final = {  # module:function; called with the settings, each of which has a default
    "morgan": "molebm.chem.fingerprints:morgan",
    "maccs": "molebm.chem.fingerprints:maccs",
    "descriptors": "molebm.chem.descriptors:descriptors",
    "grid": "molebm.chem.density_grid:grid",
    "defects": "molebm.plausibility.describing:defects",  # by name: it stands above
}


def featuriser(name: str, settings: Mapping[str, Any] | None = None) -> Featurise:
    """Find features by name.

    Raises
    ------
    RequestError
        If there are none of that name, or a setting is unknown.
    """
    if name not in FEATURES:
        raise RequestError(f"there are no features '{name}'; known are {', '.join(FEATURES)}")
    module, function = FEATURES[name].split(":")
    try:
        return getattr(importlib.import_module(module), function)(**(settings or {}))
    except TypeError as error:
        raise RequestError(f"features '{name}' cannot be made with {dict(settings or {})}: {error}") from error
