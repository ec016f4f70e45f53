"""One batch of molecules from records to ensembles; what fails is set aside and the rest goes on."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from torch import Generator, Tensor

from molebm.chem.cleaning import prepare_molecule
from molebm.chem.embedding import embed
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.isomers import stereoisomers
from molebm.chem.reading import Record
from molebm.conformers.backends import effort_for
from molebm.conformers.choice import lowest_of_each_kind, those_that_stand_for_all
from molebm.conformers.engines import make_engine
from molebm.conformers.outcomes import Outcome, Outcomes, ensemble, failure, isomer_name
from molebm.conformers.search import number_of_candidates, random_starts, sampled_minima
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.validity import follows_stereo, is_connected
from molebm.conformers.vibrations import vibrational_free_energies
from molebm.errors import EmbeddingError, MoleculeError, StereoError, TimeLimitError
from molebm.forcefield.mechanics import Backend, MechanicalEnergy
from molebm.forcefield.parameters import Parameters, concatenate_parameters, in_medium
from molebm.parametrise import Parametrise
from molebm.topology import Topology, concatenate

TOLERANCE: Final = 0.1  # kcal/mol/Å, largest force on an atom of what comes out
MOST_STEPS: Final = 500  # energy evaluations, to get there
DIELECTRIC: Final = 10.0  # relative permittivity, between that of a binding site and of water
DISPERSION: Final = 0.5  # of the attraction within a molecule that its surroundings do not make up for
MOST_ISOMERS: Final = 64  # of one record
TRIED: Final = 4  # isomers, one after the other, where the input leaves stereo open and a single one is wanted


@dataclass(frozen=True, slots=True)
class Start:
    """A stereoisomer ready to be searched."""

    record: Record
    mol: Chem.Mol  # hydrogens explicit
    topology: Topology
    parameters: Parameters
    seed: int
    begun: float  # of time.monotonic()


class Found(NamedTuple):
    """The ensemble of one molecule, by rising energy."""

    start: Start
    positions: NDArray[np.float64]  # (C, N, 3) Å
    energies: NDArray[np.float64]  # (C,) kcal/mol


Result: TypeAlias = Found | MoleculeError | TimeLimitError


def generate_batch(
    records: Sequence[Record], backend: Backend, settings: GenerationSettings, parametrise: Parametrise
) -> list[Outcomes]:
    """Give each record its conformers, or the reason why it has none, in order.

    On a CPU a record's result depends on itself, its index and the settings alone.
    """
    every = settings.stereo == "enumerate"
    results: list[Outcomes] = [[] for _ in records]
    waiting: dict[int, list[Chem.Mol]] = {}  # isomers to be tried, by the place of their record
    for place, record in enumerate(records):
        try:
            waiting[place] = _isomers(record, settings)
        except MoleculeError as error:
            results[place] = [failure(record.name, record.source, error)]
    while waiting:
        tried = [(place, mol) for place, mols in waiting.items() for mol in (mols if every else mols[:1])]
        made = _searched([(records[place], mol) for place, mol in tried], backend, settings, parametrise)
        remaining = {}
        for place, mols in waiting.items():
            of_record = [one for (at, _), one in zip(tried, made, strict=True) if at == place]
            rest = [] if every else mols[1:]
            if rest and isinstance(of_record[0], EmbeddingError | StereoError):
                remaining[place] = rest
            else:
                results[place] = _outcomes(records[place], mols if every else [], of_record, settings)
        waiting = remaining
    return results


def _isomers(record: Record, settings: GenerationSettings) -> list[Chem.Mol]:
    """Declare what the record leaves open: every way, or a few at random of which one is wanted.

    Raises
    ------
    MoleculeError
        If the record holds no molecule, or one that cannot be worked on.
    """
    if record.mol is None:
        raise MoleculeError(record.error or "the record holds no molecule; correct it")
    with rdBase.BlockLogs():
        mol = prepare_molecule(record.mol)
        if settings.stereo == "enumerate":
            return stereoisomers(mol, MOST_ISOMERS, seed=settings.seed)
        isomers = stereoisomers(mol, TRIED, seed=settings.seed)
    first = np.random.default_rng((settings.seed, record.index)).integers(len(isomers))
    return isomers[first:] + isomers[:first]


def _searched(
    asked: Sequence[tuple[Record, Chem.Mol]], backend: Backend, settings: GenerationSettings, parametrise: Parametrise
) -> list[Result]:
    """Search isomers, on a GPU together and on a CPU one by one."""
    starts: dict[int, Start] = {}
    results: dict[int, Result] = {}
    for place, (record, mol) in enumerate(asked):
        try:
            starts[place] = _start(record, mol, settings, parametrise)
        except MoleculeError as error:
            results[place] = error
    groups = [[place] for place in starts] if settings.device.startswith("cpu") else [list(starts)]
    for group in groups:
        found = _found([starts[place] for place in group], backend, settings)
        results |= dict(zip(group, found, strict=True))
    return [results[place] for place in range(len(asked))]


def _start(record: Record, mol: Chem.Mol, settings: GenerationSettings, parametrise: Parametrise) -> Start:
    begun = time.monotonic()
    topology = topology_from_mol(mol).to(settings.device)
    parameters = parametrise([mol], topology)
    if settings.environment == "bound":
        parameters = in_medium(parameters, dielectric=DIELECTRIC, dispersion=DISPERSION)
    return Start(record, mol, topology, parameters, derived_seed(settings.seed, record.index), begun)


def _found(starts: Sequence[Start], backend: Backend, settings: GenerationSettings) -> list[Result]:
    """Search molecules together, and each alone if one of them fails or they take longer than they are given."""
    if not starts:
        return []
    try:
        return _minima(starts, backend, settings)
    except (TimeLimitError, EmbeddingError) as error:
        if len(starts) == 1:
            return [error]
        return [found for start in starts for found in _found([start], backend, settings)]


def _minima(starts: Sequence[Start], backend: Backend, settings: GenerationSettings) -> list[Result]:
    topology = concatenate([start.topology for start in starts])
    parameters = concatenate_parameters([start.parameters for start in starts])
    seconds_left = sum(settings.time_limit - (time.monotonic() - start.begun) for start in starts)
    engine = make_engine(topology, parameters, backend, seconds_left)
    n_candidates = number_of_candidates(topology, engine.n_rotors, settings.n_conformers)
    seeds = [start.seed for start in starts]
    if settings.start == "etkdg":
        folded = torch.cat([_embedded(start, n_candidates, settings) for start in starts], dim=1).to(settings.device)
    else:
        generators = [Generator().manual_seed(seed) for seed in seeds]
        folded = random_starts(engine, topology, parameters, n_candidates, generators)
    found = sampled_minima(engine, topology, folded, seeds=seeds, effort=effort_for(backend, settings.device))
    if settings.choose == "lowest":
        found = engine.relax(found.positions, force_tolerance=TOLERANCE, max_steps=MOST_STEPS)
    choose = lowest_of_each_kind if settings.choose == "lowest" else those_that_stand_for_all

    connected = is_connected(topology, parameters.bond_length, found.positions, found.energy)
    energies = torch.where(connected & follows_stereo(topology, found.positions), found.energy, torch.inf)
    results: list[Result] = []
    for start, frames, energy, whole in zip(
        starts, _frames(starts, found.positions), energies.double().cpu().numpy(), connected, strict=True
    ):
        kept = choose(start.mol, frames, energy, settings)
        results.append(Found(start, frames[kept], energy[kept]) if kept else _nothing(whole))
    return results


def _embedded(start: Start, n_candidates: int, settings: GenerationSettings) -> Tensor:
    """Embed a few by ETKDGv3 and repeat them, (3, N, C) Å; torsions are sampled from each."""
    n_starts = min(n_candidates, max(4, -(-settings.n_conformers // 4)))
    with rdBase.BlockLogs():
        mol = embed(start.mol, n_starts, seed=start.seed, time_limit=settings.time_limit)
    frames = positions_from_mol(mol)
    return frames[..., torch.arange(n_candidates) % frames.shape[-1]].contiguous()


def _nothing(connected: Tensor) -> MoleculeError:
    if connected.any():
        return StereoError(
            "no conformer that was found has the declared stereochemistry; check it for what no geometry can meet"
        )
    return EmbeddingError(
        "no conformer that was found kept its bonds; check the structure for rings and stereochemistry that no "
        "geometry can meet"
    )


def _outcomes(
    record: Record, isomers: Sequence[Chem.Mol], results: Sequence[Result], settings: GenerationSettings
) -> Outcomes:
    """Say what became of a record; `isomers` are those that were asked for by enumeration, else none."""
    outcomes: Outcomes = []
    for n, result in enumerate(results, 1):
        several = len(isomers) > 1
        name = isomer_name(record.name, n, len(results))
        smiles = Chem.MolToSmiles(Chem.RemoveHs(isomers[n - 1])) if several else None
        outcomes.append(_outcome(name, record.source, smiles, result, settings))
    return outcomes


def _outcome(name: str, source: str, stereoisomer: str | None, result: Result, settings: GenerationSettings) -> Outcome:
    if not isinstance(result, Found):
        return failure(name, source, result)
    free = _free_energies(result, settings) if settings.vibrations else result.energies
    return ensemble(
        name, source, result.start.mol, result.positions, result.energies, free, settings.temperature, stereoisomer
    )


def _free_energies(found: Found, settings: GenerationSettings) -> NDArray[np.float64]:
    """Add the free energy of vibration, (C,) kcal/mol."""
    start = found.start
    energy = MechanicalEnergy(start.topology, start.parameters.to(dtype=torch.float64), "torch")
    positions = torch.from_numpy(found.positions).permute(2, 1, 0).contiguous().to(start.topology.device)
    vibrations = vibrational_free_energies(energy, start.topology, positions, settings.temperature)
    return found.energies + vibrations[0].double().cpu().numpy()


def derived_seed(seed: int, *place: int) -> int:
    """Mix a seed with where it is used into 32 bits that have nothing in common with those of other places."""
    return int(np.random.SeedSequence((seed, *place)).generate_state(1)[0])


def _frames(starts: Sequence[Start], positions: Tensor) -> list[NDArray[np.float64]]:
    """Take the molecules of positions (3, N, C) apart, each (C, N, 3) Å."""
    sizes = [start.topology.n_atoms for start in starts]
    return [part.numpy() for part in positions.double().cpu().permute(2, 1, 0).split(sizes, dim=1)]
