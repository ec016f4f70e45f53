"""Free energies of molecules: from one named energy and temperature to another, and of conformers."""

from __future__ import annotations

from collections.abc import Generator as Steps
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

import torch
from rdkit import Chem
from torch import Generator, Tensor

from molebm.chem.cleaning import prepare_molecule
from molebm.conformers.backends import choose_backend
from molebm.conformers.isomer_choice import sampled_isomer
from molebm.conformers.molecule_search import Found, Start, conformers_of, start_of
from molebm.conformers.settings import GenerationSettings
from molebm.errors import MoleculeError, RequestError
from molebm.family.basins import Basin, basins, rotor_torsions, torsion_states
from molebm.family.free_energy import FreeEnergies, PathSettings, free_energy_difference
from molebm.family.multistate import Multistate, multistate
from molebm.family.thermodynamic_path import End, Frame
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.parametrise import named_energy
from molebm.units import thermal_energy

FEWEST_SOUND: Final = 0.5  # of the chains, below which there is no estimate


@dataclass(frozen=True, slots=True)
class FreeEnergySettings:
    """From where to where, and how hard it is tried.

    Raises
    ------
    RequestError
        If a number is out of its range.
    """

    first: str = "mmff94"
    last: str = "learned"
    model: str | Path | None = None  # checkpoint of the learned energy; None for the shipped one
    temperature: float = 300.0  # K, at the first end
    last_temperature: float | None = None  # K; None is the same
    n_chains: int = 32
    seed: int = 0
    path: PathSettings = PathSettings()
    all_rungs: bool = False  # whether all rungs are also weighed together, which needs pymbar

    def __post_init__(self) -> None:
        if min(self.temperature, self.end_temperature) <= 0:
            raise RequestError(f"temperatures are above 0 K; got {self.temperature:g} and {self.end_temperature:g}")
        if self.n_chains < 4:
            raise RequestError(f"{self.n_chains} chains give no error bars; ask for 4 or more")

    @property
    def end_temperature(self) -> float:
        """Temperature at the last end, K."""
        return self.temperature if self.last_temperature is None else self.last_temperature


class Estimate(NamedTuple):
    """One estimate of the difference of free energy, F1/kT1 - F0/kT0 = -ln Z1/Z0."""

    method: str
    value: float  # kT
    error: float  # kT
    lower: float | None = None  # kT, bounds
    upper: float | None = None
    effective_size: float | None = None
    hysteresis: float | None = None  # kT, work that is lost forward and back


class MoleculeFreeEnergies(NamedTuple):
    """What was found of one molecule."""

    estimates: list[Estimate]
    torsions: list[tuple[int, ...]]  # atoms, whose states tell basins apart
    first_basins: list[Basin]
    last_basins: list[Basin]
    n_chains: int  # that stayed sound


def molecule_free_energies(mol: Chem.Mol, settings: FreeEnergySettings) -> Steps[float, None, MoleculeFreeEnergies]:
    """Yield how far it has come, from 0 to 1, and return what was found.

    The chains start from conformers of the first energy, as `generate` finds them in a vacuum.

    Raises
    ------
    MoleculeError
        If the molecule has no parameters, no conformers, or most chains fall into a singularity of an energy.
    """
    energies = [
        named_energy(name, settings.model if name == "learned" else None) for name in (settings.first, settings.last)
    ]
    start, starts = _conformers(mol, settings)
    topology = start.topology
    ends = [
        End(MechanicalEnergy(topology, energy.parametrise([start.mol], topology)), thermal_energy(temperature))
        for energy, temperature in zip(energies, (settings.temperature, settings.end_temperature), strict=True)
    ]
    generator = Generator().manual_seed(settings.seed)
    found: FreeEnergies | None = None
    for progress in free_energy_difference(ends[0], ends[1], topology, starts, settings.path, generator):
        yield progress.fraction
        found = progress.found
    if found is None or found.n_chains < FEWEST_SOUND * settings.n_chains:
        raise MoleculeError(
            "most chains fell into a singularity of an energy, as polar hydrogens can in a vacuum; choose other "
            "energies, or a lower temperature"
        )
    torsions = rotor_torsions(topology)
    first_basins, last_basins = (
        _basins(found.frames, rung, torsions, end.kT, generator) for rung, end in zip((0, -1), ends, strict=True)
    )
    together = _all_rungs(found) if settings.all_rungs else None
    return MoleculeFreeEnergies(
        estimates=estimates(found, together),
        torsions=[tuple(atoms) for atoms in torsions.T.tolist()],
        first_basins=first_basins,
        last_basins=last_basins,
        n_chains=found.n_chains,
    )


def estimates(found: FreeEnergies, together: Multistate | None = None) -> list[Estimate]:
    """Turn ln Z1/Z0 of one molecule into differences of free energy in kT; upper and lower bounds change places."""
    annealed, integral, leap = found.annealed, found.integral, found.leap
    value, error = found.rung_by_rung
    rows = [
        Estimate("ais", *_numbers(-annealed.value, annealed.error, -annealed.upper, -annealed.lower)),
        Estimate("ti", *_numbers(-integral.value, integral.error, -integral.upper, -integral.lower)),
        Estimate("bar", *_numbers(-value, error)),
        Estimate("leap", *_numbers(-leap.value, leap.error))._replace(effective_size=leap.effective_size.item()),
    ]
    rows[0] = rows[0]._replace(
        effective_size=found.annealed_forward.effective_size.item(), hysteresis=annealed.hysteresis.item()
    )
    if together is not None:
        rows.insert(3, Estimate("mbar", -together.value, together.error))
    return rows


def _numbers(*values: Tensor) -> list[float]:
    return [value.item() + 0.0 for value in values]


def _conformers(mol: Chem.Mol, settings: FreeEnergySettings) -> tuple[Start, Tensor]:
    """Find conformers for the chains to start from, (3, N, C) Å."""
    search = GenerationSettings(
        n_conformers=settings.n_chains,
        seed=settings.seed,
        energy=settings.first,
        model=settings.model if settings.first == "learned" else None,
        environment="vacuum",
        energy_window=10 * thermal_energy(settings.temperature),
    )
    parametrise = named_energy(settings.first, search.model).parametrise
    backend = choose_backend(search, 0.0)
    whole = sampled_isomer(prepare_molecule(mol), settings.seed, backend, search, parametrise)
    (result,) = conformers_of([start_of(whole, settings.seed, search, parametrise)], backend, search)
    if not isinstance(result, Found):
        raise result
    frames = torch.from_numpy(result.positions).permute(2, 1, 0).float()  # (3, N, c)
    return result.start, frames[..., torch.arange(settings.n_chains) % frames.shape[-1]].contiguous()


def _basins(frames: list[Frame], rung: int, torsions: Tensor, kT: float, generator: Generator) -> list[Basin]:
    states = torch.stack([torsion_states(frame.positions[:, :, rung], torsions) for frame in frames], dim=-1)
    return basins(states, kT, generator)


def _all_rungs(found: FreeEnergies) -> Multistate:
    u0, u1 = (
        torch.stack([getattr(frame, end)[:, 0] for frame in found.frames], dim=-1).flatten(1)
        for end in ("first", "last")
    )
    return multistate(u0, u1, found.schedule)
