"""An energy that minds the time."""

from __future__ import annotations

import time
from dataclasses import dataclass

from torch import Tensor

from molebm.errors import TimeLimitError
from molebm.forcefield.energy import EnergyFn, EnergyForces, energy_and_forces


@dataclass(frozen=True, slots=True)
class TimedEnergy:
    """The same energy, which raises TimeLimitError when its forces are asked too late."""

    energy: EnergyFn
    deadline: float  # of time.monotonic()

    def __call__(self, positions: Tensor) -> Tensor:
        return self.energy(positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        if time.monotonic() > self.deadline:
            raise TimeLimitError("sampling took longer than the time limit; raise --time-limit, or leave it out")
        return energy_and_forces(self.energy, positions)
