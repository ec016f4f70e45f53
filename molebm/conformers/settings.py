"""What the user asks of a generation, checked before any work is done."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from molebm.errors import RequestError

Compile = Literal["auto", "on", "off"]
Start = Literal["random", "etkdg", "diffusion"]
Stereo = Literal["sample", "enumerate"]
Choose = Literal["diverse", "lowest"]
Environment = Literal["bound", "vacuum"]


@dataclass(frozen=True, slots=True)
class GenerationSettings:
    """Everything that decides the result; how many processes share the work is not among it.

    Raises
    ------
    RequestError
        If a number is out of its range.
    """

    n_conformers: int = 20  # at most, of each molecule
    energy_window: float = 10.0  # kcal/mol above the lowest conformer
    rmsd: float = 0.2  # Å, nearer conformers count as one
    temperature: float = 300.0  # K, of the Boltzmann weights
    seed: int = 0
    energy: str = "learned"
    model: str | Path | None = None  # checkpoint of the learned energy; None for the shipped one
    device: str = "cpu"
    compile: Compile = "auto"
    time_limit: float = 120.0  # s for each molecule
    start: Start = "random"  # coordinates, those of RDKit's ETKDGv3, or of a model that makes them from noise
    start_model: str | Path | None = None  # checkpoint of that model; None for the shipped one
    stereo: Stereo = "sample"  # what the input leaves open: one isomer, or an ensemble of each
    choose: Choose = "diverse"  # which conformers: those that stand for all, or the lowest minima
    environment: Environment = "bound"  # surroundings, which damp electrostatics and attraction, or none
    vibrations: bool = False  # whether the weights count the free energy of vibration

    def __post_init__(self) -> None:
        _require(self.n_conformers >= 1, "the number of conformers", self.n_conformers, "at least 1")
        _require(self.energy_window >= 0, "the energy window", self.energy_window, "0 kcal/mol or more")
        _require(0 <= self.rmsd < math.inf, "the RMSD threshold", self.rmsd, "0 Å or more")
        _require(0 < self.temperature < math.inf, "the temperature", self.temperature, "above 0 K")
        _require(self.seed >= 0, "the seed", self.seed, "0 or more")
        _require(self.time_limit > 0, "the time limit", self.time_limit, "above 0 s")
        for name, kind in _CHOICES.items():
            allowed = get_args(kind)
            _require(getattr(self, name) in allowed, name, getattr(self, name), " or ".join(allowed))
        if self.start_model is not None and self.start != "diffusion":
            raise RequestError(f"the start {self.start!r} has no model to load; leave '{self.start_model}' out")


_CHOICES = {"compile": Compile, "start": Start, "stereo": Stereo, "choose": Choose, "environment": Environment}


def _require(holds: bool, what: str, value: object, allowed: str) -> None:
    if not holds:
        raise RequestError(f"{what} is {value}; it must be {allowed}")
