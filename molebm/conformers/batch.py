"""One batch of molecules from records to ensembles; what fails is set aside and the rest goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from torch import Generator, Tensor

from molebm.chem.cleaning import prepare_molecule
from molebm.chem.embedding import embed
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.reading import Record
from molebm.chem.stereo import declared_centres, declared_double_bonds
from molebm.conformers.annealing import annealed_minima, relaxed
from molebm.conformers.backends import schedule_for
from molebm.conformers.batching import number_of_chains, number_of_starts
from molebm.conformers.outcomes import Ensemble, Failure, ensemble, failure
from molebm.conformers.selection import distinct_conformers
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.validity import check_conformers
from molebm.errors import EmbeddingError, MoleculeError, StereoError, TimeLimitError
from molebm.forcefield.energy import EnergyForces, energy_and_forces
from molebm.forcefield.mechanics import Backend, MechanicalEnergy
from molebm.forcefield.parameters import Parameters, concatenate_parameters
from molebm.parametrise import Parametrise
from molebm.topology import Topology, concatenate


@dataclass(frozen=True, slots=True)
class Start:
    """A molecule ready to be sampled."""

    record: Record
    mol: Chem.Mol  # hydrogens explicit, with its embedded conformers
    topology: Topology
    parameters: Parameters
    seconds: float  # spent so far


@dataclass(frozen=True, slots=True)
class Found:
    """Minima of one molecule."""

    positions: NDArray[np.float64]  # (C, N, 3) Å
    energies: NDArray[np.float64]  # (C,) kcal/mol, infinite where the conformer is not valid
    connected: bool  # whether any kept its bonds, whatever became of its stereo


@dataclass(frozen=True, slots=True)
class TimedEnergy:
    """The same energy, which raises TimeLimitError when it is asked too late."""

    energy: MechanicalEnergy
    deadline: float  # of time.monotonic()

    def __call__(self, positions: Tensor) -> Tensor:
        return self.energy(positions)

    def energy_and_forces(self, positions: Tensor) -> EnergyForces:
        if time.monotonic() > self.deadline:
            raise TimeLimitError("sampling took longer than the time limit; raise --time-limit, or leave it out")
        return energy_and_forces(self.energy, positions)


def generate_batch(
    records: Sequence[Record], backend: Backend, settings: GenerationSettings, parametrise: Parametrise
) -> list[Ensemble | Failure]:
    """Give each record its conformers, or the reason why it has none, in order."""
    starts: list[Start] = []
    outcomes: dict[int, Ensemble | Failure] = {}
    for record in records:
        try:
            with rdBase.BlockLogs():
                starts.append(prepare_start(record, settings, parametrise))
        except (MoleculeError, TimeLimitError) as error:
            outcomes[record.index] = failure(record.name, record.source, error)
    for start, found in zip(starts, sampled(starts, backend, settings), strict=True):
        outcomes[start.record.index] = _outcome(start, found, settings)
    return [outcomes[record.index] for record in records]


def prepare_start(record: Record, settings: GenerationSettings, parametrise: Parametrise) -> Start:
    """Check, embed and parametrise one molecule.

    Raises
    ------
    MoleculeError
        If one of these cannot be done.
    TimeLimitError
        If embedding takes too long.
    """
    begin = time.monotonic()
    if record.mol is None:
        raise MoleculeError(record.error or "the record holds no molecule; correct it")
    mol = prepare_molecule(record.mol)
    topology = topology_from_mol(mol).to(settings.device)
    parameters = parametrise([mol], topology)
    seed = derived_seed(settings.seed, record.index)
    mol = embed(mol, number_of_starts(settings.n_conformers), seed=seed, time_limit=settings.time_limit)
    if len(declared_centres(mol)) + len(declared_double_bonds(mol)) > _n_declared(topology):
        topology = topology_from_mol(mol).to(settings.device)
    return Start(record, mol, topology, parameters, time.monotonic() - begin)


def sampled(starts: Sequence[Start], backend: Backend, settings: GenerationSettings) -> list[Found | TimeLimitError]:
    """Sample molecules together, and each alone if together they take longer than they are given."""
    if not starts:
        return []
    try:
        return _minima(starts, backend, settings)
    except TimeLimitError as error:
        if len(starts) == 1:
            return [error]
        return [found for start in starts for found in sampled([start], backend, settings)]


def _minima(starts: Sequence[Start], backend: Backend, settings: GenerationSettings) -> list[Found | TimeLimitError]:
    topology = concatenate([start.topology for start in starts])
    parameters = concatenate_parameters([start.parameters for start in starts])
    seconds_left = sum(settings.time_limit - start.seconds for start in starts)
    energy = TimedEnergy(MechanicalEnergy(topology, parameters, backend), time.monotonic() + seconds_left)
    generator = Generator(settings.device).manual_seed(derived_seed(settings.seed, starts[0].record.index, 1))
    schedule = schedule_for(backend, settings.device)
    embedded = [positions_from_mol(start.mol) for start in starts]
    n_chains = number_of_chains(settings.n_conformers)
    chains = torch.cat([_repeat(frames, n_chains) for frames in embedded], dim=1).to(settings.device)
    minimum = annealed_minima(energy, topology, chains, generator, schedule)
    found = _take_apart(starts, topology, chains, minimum.positions, minimum.energy)
    if all(np.isfinite(one.energies).any() for one in found):
        return [*found]
    direct = relaxed(energy, topology, chains, schedule)
    instead = _take_apart(starts, topology, chains, direct.positions, direct.energy)
    return [one if np.isfinite(one.energies).any() else other for one, other in zip(found, instead, strict=True)]


def derived_seed(seed: int, *place: int) -> int:
    """Mix a seed with where it is used into 32 bits that have nothing in common with those of other places."""
    return int(np.random.SeedSequence((seed, *place)).generate_state(1)[0])


def _n_declared(topology: Topology) -> int:
    return topology.stereo_centres.shape[1] + topology.stereo_bonds.shape[1]


def _repeat(frames: Tensor, n_chains: int) -> Tensor:
    """Start chains from embedded conformers (3, N, c) in turn, (3, N, C)."""
    return frames[..., torch.arange(n_chains) % frames.shape[-1]]


def _take_apart(
    starts: Sequence[Start], topology: Topology, chains: Tensor, positions: Tensor, energy: Tensor
) -> list[Found]:
    valid = check_conformers(topology, chains, positions, energy)
    energies = torch.where(valid.connected & valid.stereo, energy, torch.inf).double().cpu().numpy()
    connected = valid.connected.any(dim=1).tolist()
    sizes = [start.topology.n_atoms for start in starts]
    frames = positions.double().cpu().permute(2, 1, 0).split(sizes, dim=1)
    return [Found(*parts) for parts in zip((f.numpy() for f in frames), energies, connected, strict=True)]


def _outcome(start: Start, found: Found | TimeLimitError, settings: GenerationSettings) -> Ensemble | Failure:
    record = start.record
    if isinstance(found, TimeLimitError):
        return failure(record.name, record.source, found)
    chosen = distinct_conformers(
        start.mol,
        found.positions,
        found.energies,
        rmsd=settings.rmsd,
        energy_window=settings.energy_window,
        n_conformers=settings.n_conformers,
    )
    if not chosen:
        return failure(record.name, record.source, _lost(found))
    return ensemble(
        record.name, record.source, start.mol, found.positions[chosen], found.energies[chosen], settings.temperature
    )


def _lost(found: Found) -> EmbeddingError | StereoError:
    if found.connected:
        return StereoError("no conformer keeps the declared stereochemistry; check that a geometry can meet it")
    return EmbeddingError("no conformer keeps its bonds in this energy; check the structure, or use --energy mmff94")
