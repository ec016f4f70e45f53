"""What kind of defect a structure most probably has, by a joint energy model of structures that have one each."""

from __future__ import annotations

from pathlib import Path
from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.errors import CheckpointError
from molebm.family.checkpoint import TrainedEnergy, load_trained
from molebm.plausibility.defect_features import DEFECT_FEATURES
from molebm.plausibility.surprise import conformal_p_value

SHIPPED: Final = Path(__file__).parent / "shipped" / "diagnosis-1"
"""The diagnosis that ships with the package and is used where no other is named."""
DEFECTS: Final = "defects"
"""Name of the features that a diagnosis reads."""
NONE_OF_THESE: Final = "none of these"


class Diagnosis(NamedTuple):
    """The most probable kind of defect, were it one of those known."""

    kind: str  # of `Diagnostician.kinds`, or `NONE_OF_THESE`
    probability: float  # of the most probable kind, also where it is none of these
    p_value: float  # chance that a structure of a known kind is as unlike all that was learned from


class Diagnostician:
    """A trained classifier of `DEFECT_FEATURES` that is an energy too.

    Raises
    ------
    CheckpointError
        If the model is no classifier, reads other features or was calibrated with none.
    """

    def __init__(self, trained: TrainedEnergy, *, alpha: float = 0.05) -> None:
        features = trained.metadata.get("features", {})
        if features.get("name") != DEFECTS or list(features.get("columns", DEFECT_FEATURES)) != list(DEFECT_FEATURES):
            raise CheckpointError("the model does not read the features of defects; train one as docs/family.md says")
        self.kinds = tuple(trained.metadata.get("classes", ()))
        self._calibration = trained.metadata.get("calibration") or ()
        if not self.kinds or not self._calibration:
            raise CheckpointError("the model tells no kinds apart, or has no held-out energies; train it again")
        self._model, self._alpha = trained.model, alpha

    @torch.no_grad()
    def diagnose(self, features: Tensor) -> list[Diagnosis]:
        """Diagnose structures by their `DEFECT_FEATURES` (n, D).

        A structure is none of the known kinds where its energy is higher than all but `alpha` of theirs.
        """
        shares = self._model.probabilities(features)
        if shares is None:
            raise CheckpointError('the model is no classifier; train one with `model = "jem"`')
        p_values = conformal_p_value(self._model.energy(features).numpy(), self._calibration)
        largest = shares.max(-1)
        return [
            Diagnosis(NONE_OF_THESE if p_value <= self._alpha else self.kinds[kind], share, p_value)
            for kind, share, p_value in zip(
                largest.indices.tolist(), largest.values.tolist(), p_values.tolist(), strict=True
            )
        ]


def load_diagnostician(path: str | Path | None = None, *, alpha: float = 0.05) -> Diagnostician:
    """Load the diagnosis of a checkpoint, or the shipped one.

    Raises
    ------
    CheckpointError
        If it is missing or damaged, or no diagnosis.
    """
    return Diagnostician(load_trained(SHIPPED if path is None else path), alpha=alpha)
