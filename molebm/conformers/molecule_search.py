"""The search for the conformers of one stereoisomer, or on a GPU of several together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem, rdBase
from torch import Generator, Tensor

from molebm.chem.embedding import embed
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.conformers.backends import effort_for
from molebm.conformers.choice import lowest_of_each_kind, those_that_stand_for_all
from molebm.conformers.noise_starts import noise_model, starts_from_noise
from molebm.conformers.search import number_of_candidates, sampled_minima, starts_with_good_rings
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.validity import follows_stereo, is_connected
from molebm.errors import EmbeddingError, MoleculeError, StereoError, TimeLimitError
from molebm.forcefield.mechanics import Backend
from molebm.forcefield.parameters import Parameters, concatenate_parameters, in_medium
from molebm.parametrise import Parametrise
from molebm.samplers.engines import Engine, Relaxed, make_engine
from molebm.topology import Topology, concatenate

TOLERANCE: Final = 0.1  # kcal/mol/Å, largest force on an atom of what is chosen as the lowest
MOST_STEPS: Final = 500  # energy evaluations, to get there
ROUNDS: Final = 4  # of the search, where few candidates come near the lowest
FEW: Final = 0.5  # of the conformers that are wanted, below which candidates within the window are few


@dataclass(frozen=True, slots=True)
class Start:
    """A stereoisomer ready to be searched."""

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


def start_of(mol: Chem.Mol, seed: int, settings: GenerationSettings, parametrise: Parametrise) -> Start:
    """Read a molecule's topology and its parameters in the surroundings that are asked for.

    Raises
    ------
    MoleculeError
        If it has no parameters.
    """
    begun = time.monotonic()
    topology = topology_from_mol(mol).to(settings.device)
    parameters = parametrise([mol], topology)
    if settings.environment == "bound":
        parameters = in_medium(parameters)
    return Start(mol, topology, parameters, seed, begun)


def conformers_of(starts: Sequence[Start], backend: Backend, settings: GenerationSettings) -> list[Result]:
    """Search molecules together, and each alone if one of them fails or they take longer than they are given."""
    if not starts:
        return []
    try:
        return _searched(starts, backend, settings)
    except (TimeLimitError, EmbeddingError) as error:
        if len(starts) == 1:
            return [error]
        return [found for start in starts for found in conformers_of([start], backend, settings)]


def _searched(starts: Sequence[Start], backend: Backend, settings: GenerationSettings) -> list[Result]:
    topology = concatenate([start.topology for start in starts])
    parameters = concatenate_parameters([start.parameters for start in starts])
    seconds = sum(settings.time_limit - (time.monotonic() - start.begun) for start in starts)
    half_time = time.monotonic() + seconds / 2
    engine = make_engine(topology, parameters, backend, seconds)
    found = candidates = _candidates(engine, topology, parameters, starts, settings)
    for n_round in range(1, ROUNDS + 1):
        connected = is_connected(topology, parameters.bond_length, found.positions, found.energy)
        energies = torch.where(connected & follows_stereo(topology, found.positions), found.energy, torch.inf)
        if n_round == ROUNDS or _are_enough(energies, candidates, settings) or time.monotonic() > half_time:
            break
        again = [replace(start, seed=start.seed + n_round) for start in starts]
        candidates = _candidates(engine, topology, parameters, again, settings)
        found = _beside(found, candidates)
    choose = lowest_of_each_kind if settings.choose == "lowest" else those_that_stand_for_all
    results: list[Result] = []
    sizes = [start.topology.n_atoms for start in starts]
    frames = [part.numpy() for part in found.positions.double().cpu().permute(2, 1, 0).split(sizes, dim=1)]
    for start, x, energy, whole in zip(starts, frames, energies.double().cpu().numpy(), connected, strict=True):
        kept = choose(start.mol, x, energy, settings)
        results.append(Found(start, x[kept], energy[kept]) if kept else _nothing(whole))
    return results


def _candidates(
    engine: Engine,
    topology: Topology,
    parameters: Parameters,
    starts: Sequence[Start],
    settings: GenerationSettings,
) -> Relaxed:
    n_candidates = number_of_candidates(topology, engine.n_rotors, settings.n_conformers)
    seeds, effort = [start.seed for start in starts], effort_for(settings.device)
    if settings.start == "etkdg":
        folded = torch.cat([_embedded(start, n_candidates, settings) for start in starts], dim=1).to(settings.device)
    elif settings.start == "diffusion":
        generators = [Generator().manual_seed(seed) for seed in seeds]
        folded = starts_from_noise(noise_model(settings.start_model), topology, parameters, n_candidates, generators)
    else:
        generators = [Generator().manual_seed(seed) for seed in seeds]
        folded = starts_with_good_rings(
            engine, topology, parameters, n_candidates, generators, seeds=seeds, effort=effort
        )
    found = sampled_minima(engine, topology, folded, seeds=seeds, effort=effort)
    if settings.choose == "lowest":
        found = engine.relax(found.positions, force_tolerance=TOLERANCE, max_steps=MOST_STEPS)
    return found


def _embedded(start: Start, n_candidates: int, settings: GenerationSettings) -> Tensor:
    """Embed a few by ETKDGv3 and repeat them, (3, N, C) Å; torsions are sampled from each."""
    n_starts = min(n_candidates, max(4, -(-settings.n_conformers // 4)))
    with rdBase.BlockLogs():
        mol = embed(start.mol, n_starts, seed=start.seed, time_limit=settings.time_limit)
    frames = positions_from_mol(mol)
    return frames[..., torch.arange(n_candidates) % frames.shape[-1]].contiguous()


def _beside(found: Relaxed, more: Relaxed) -> Relaxed:
    return Relaxed(torch.cat([found.positions, more.positions], 2), torch.cat([found.energy, more.energy], 1))


def _are_enough(energies: Tensor, candidates: Relaxed, settings: GenerationSettings) -> bool:
    """Whether enough of each molecule lie within the window, or as many as one can hope for."""
    lowest = energies.amin(dim=1, keepdim=True)
    within = (energies.isfinite() & (energies <= lowest + settings.energy_window)).sum(dim=1)
    return bool((within >= FEW * min(settings.n_conformers, candidates.energy.shape[1])).all())


def _nothing(connected: Tensor) -> MoleculeError:
    if connected.any():
        return StereoError(
            "no conformer that was found has the declared stereochemistry; check it for what no geometry can meet"
        )
    return EmbeddingError(
        "no conformer that was found kept its bonds; check the structure for rings and stereochemistry that no "
        "geometry can meet"
    )
