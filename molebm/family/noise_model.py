"""What a score-based model and a diffusion model share: an energy of conformers for every level of noise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Generator, Tensor

from molebm.errors import RequestError
from molebm.family.checkpoint import load_trained
from molebm.family.config import FamilyConfig
from molebm.family.conformers import Conformers
from molebm.family.interface import Data, FamilyModel
from molebm.family.noise_network import NoiseNetwork
from molebm.family.noise_terms import Level, NoiseTerms, floor_energy, reduced_energy, reduced_forces
from molebm.forcefield.energy import EnergyFn, EnergyForces
from molebm.topology import Topology
from molebm.training.config import Count, Positive
from molebm.units import thermal_energy

SHIPPED: Final = Path(__file__).parent / "shipped" / "conformers-1"
"""The model that makes conformers from noise where no other is named."""

NETWORK: Final = ("width", "n_layers", "hidden", "n_wells", "n_knots", "sigma_min", "sigma_max")
"""The settings that build the network."""


class NoiseConfig(FamilyConfig):
    """How a model of noised conformers is trained; its batches are molecules."""

    batch_size: Count = 8
    updates: Count = 3000
    columns: Count = 24  # conformers of each molecule in an update
    temperature: Positive = 300.0  # K, of the conformers to learn from
    sigma_min: Positive = 0.04  # Å
    sigma_max: Positive = 6.0  # Å
    width: Annotated[int, Field(ge=8)] = 64
    n_layers: Count = 4
    hidden: Annotated[int, Field(ge=8)] = 64
    n_wells: Count = 3  # distances that a pair of atoms may have
    n_knots: Annotated[int, Field(ge=2)] = 6  # in ln σ
    begin_with: Path | None = None  # a model of noised conformers whose weights are gone on from
    clip: Positive = 1.0
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.995

    @model_validator(mode="after")
    def _widths_rise(self) -> NoiseConfig:
        if self.sigma_min >= self.sigma_max:
            raise ValueError(f"sigma_min, {self.sigma_min:g} Å, is not below sigma_max, {self.sigma_max:g} Å")
        return self


class NoiseModel(FamilyModel):
    """E(x, σ) of conformers blurred by noise of width σ, with the bond graph read once."""

    reads: ClassVar[Literal["features", "conformers"]] = "conformers"

    def __init__(self, temperature: float, **network: Any) -> None:
        super().__init__()
        self.temperature = temperature  # K
        self.network_settings = network
        self.network = NoiseNetwork(**network)

    @classmethod
    def build(cls, config: Any, data: Data) -> NoiseModel:
        return cls(config.temperature, **{name: getattr(config, name) for name in NETWORK}).begun(config.begin_with)

    def begun(self, path: Path | None) -> Self:
        """Take the weights of another model of noised conformers, if one is named.

        Raises
        ------
        RequestError
            If it is of another kind, or its network is of another size.
        """
        if path is None:
            return self
        other = load_trained(path).model
        if not isinstance(other, NoiseModel) or other.network_settings != self.network_settings:
            raise RequestError(
                f"begin_with names '{path}', whose network is not of the size that is asked for; give the settings of "
                "that model, or leave begin_with out"
            )
        self.network.load_state_dict(other.network.state_dict())
        return self

    def settings(self) -> dict[str, Any]:
        return {"temperature": self.temperature, **self.network_settings}

    @property
    def kT(self) -> float:  # noqa: N802, the name of the papers
        """Thermal energy of what was learned, kcal/mol."""
        return thermal_energy(self.temperature)

    @property
    def widths(self) -> tuple[float, float]:
        """Least and largest width of noise, Å."""
        return float(self.network.knots[0].exp()), float(self.network.knots[-1].exp())

    def terms(self, topology: Topology) -> NoiseTerms:
        """Read the bond graph."""
        return self.network(topology)

    def energy_at(self, topology: Topology, sigma: float) -> EnergyFn:
        """Bind the energy at a width of noise in Å to a topology, detached from the weights."""
        with torch.no_grad():
            return self.bound(topology)(sigma)

    def bound(self, topology: Topology) -> NoisedMolecules:
        """Bind a topology, for energies at any width, detached from the weights."""
        with torch.no_grad():
            return NoisedMolecules(topology, self.terms(topology), self.kT)

    @abstractmethod
    def sample(self, topology: Topology, n: int, generators: Sequence[Generator]) -> Tensor:
        """Make n conformers of each molecule from noise, (3, N, n) Å.

        Parameters
        ----------
        generators
            One for each molecule, on the CPU; what moves them together comes from the first.
        """

    def energy(self, x: Conformers) -> Tensor:
        """Energies (G C,) in kT per atom at the least noise, above those of every pair at its likeliest distance.

        So counted, conformers of different molecules compare; for the energy of one molecule see `energy_at`.
        """
        level = self.terms(x.topology).at(x.positions.new_tensor(self.widths[:1]))
        above = reduced_energy(x.topology, level, x.positions) - floor_energy(x.topology, level)
        return (above / x.topology.atoms_per_molecule()[:, None]).flatten()


@dataclass(frozen=True, slots=True)
class NoisedMolecules:
    """From a width of noise in Å to the energy function of molecules blurred by it."""

    topology: Topology
    terms: NoiseTerms
    kT: float  # noqa: N815, kcal/mol

    def __call__(self, sigma: float) -> NoisedEnergy:
        return NoisedEnergy(self.topology, self.terms.at(self.terms.knots.new_tensor([sigma])), self.kT)


@dataclass(frozen=True, slots=True)
class NoisedEnergy:
    """E(x) at one level of noise, an energy function as any other."""

    topology: Topology
    level: Level
    kT: float  # noqa: N815, kcal/mol

    def __call__(self, positions: Tensor) -> Tensor:
        """Evaluate positions (3, N, C) Å, giving (G, C) kcal/mol."""
        return self.kT * reduced_energy(self.topology, self.level, positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        """Evaluate energies (G, C) and forces (3, N, C) kcal/mol/Å, detached."""
        with torch.no_grad():
            energy = reduced_energy(self.topology, self.level, positions)
            forces = reduced_forces(self.topology, self.level, positions)
        return EnergyForces(self.kT * energy, self.kT * forces)

    def score(self, positions: Tensor) -> Tensor:
        """Evaluate -∇E/kT, (3, N, C) 1/Å, detached."""
        with torch.no_grad():
            return reduced_forces(self.topology, self.level, positions)


def generator_on(device: torch.device, generators: Sequence[Generator]) -> Generator:
    """Make a generator on a device from the next number of the first of others."""
    return Generator(device).manual_seed(int(torch.randint(2**31, (), generator=generators[0])))
