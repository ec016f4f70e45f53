"""From nothing to many conformers: folded from random coordinates, torsions sampled, relaxed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import torch
from torch import Generator, Tensor

from molebm.conformers.validity import bonds_are_whole, follows_stereo
from molebm.forcefield.parameters import Parameters
from molebm.samplers.bond_graph import SINGLE
from molebm.samplers.engines import Engine, Relaxed
from molebm.samplers.tempering import geometric_temperatures
from molebm.topology import Topology
from molebm.units import thermal_energy

SIZE: Final = 1.0  # Å, width of the random coordinates of one atom; they grow with the cube root of the atoms
EMBEDDING_ROUNDS: Final = 6  # in which what came out as another stereoisomer is tried again
FLAT: Final = 0.75  # of the candidates begin with amides and their like as these prefer
HOT: Final = 1200.0  # K, at which torsions are sampled first
COLD: Final = 500.0  # K, and last
CLASH_FREE: Final = 2.0  # kcal/mol/Å, force on an atom where there is no clash
FEWEST: Final = 32  # candidates of a rigid molecule; each bond that turns doubles them
EACH: Final = 4  # candidates for each conformer that is wanted
MORE: Final = 60  # beside them
PILOTS: Final = 64  # minima, at least, from which candidates take the shapes of their rings
PILOT_SHARE: Final = 4  # candidates for each of them, where there are many
RING_KT: Final = 2.5  # kcal/mol, of the weights by which they are drawn
LARGE_RING: Final = 8  # atoms
LANES: Final = 16  # conformers that a processor computes at once


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is done for each candidate."""

    clash_steps: int = 40  # energy evaluations at most, to undo clashes before torsions are sampled
    turns_per_rotor: int = 20  # proposals of a torsion
    most_turns: int = 400
    annealing: int = 2000  # steps of Langevin dynamics, where there is a large ring
    relax_steps: int = 150
    force_tolerance: float = 0.5  # kcal/mol/Å


FULL: Final = Effort()
SHORT: Final = Effort(turns_per_rotor=4, most_turns=40, annealing=100, relax_steps=80)
"""For where an evaluation costs many times more: PyTorch's operations one by one on a CPU."""


def random_starts(
    engine: Engine, topology: Topology, parameters: Parameters, n_candidates: int, generators: Sequence[Generator]
) -> Tensor:
    """Fold random coordinates, (3, N, C) Å; those that came out tangled or inverted are tried again.

    Parameters
    ----------
    generators
        One for each molecule.
    """
    n_flat = round(FLAT * n_candidates)
    scattered = _scattered(topology, n_candidates, generators)
    parts = [
        engine.embed(part, flat=n < 1) for n, part in enumerate(scattered.split([n_flat, n_candidates - n_flat], 2))
    ]
    found = Relaxed(*(torch.cat(columns, dim=-1) for columns in zip(*parts, strict=True)))
    good = is_sound(topology, parameters, found.positions)  # (G, C)
    for _ in range(EMBEDDING_ROUNDS - 1):
        missing = (~good).sum(dim=1)
        if not missing.any():
            break
        again = engine.embed(_scattered(topology, int(missing.max()), generators), flat=True)
        better = is_sound(topology, parameters, again.positions)
        found, good = _filled(topology, found, good, again, better)
    return found.positions


def starts_with_good_rings(
    engine: Engine,
    topology: Topology,
    parameters: Parameters,
    n_candidates: int,
    generators: Sequence[Generator],
    *,
    seeds: Sequence[int],
    effort: Effort,
) -> Tensor:
    """Fold random coordinates, (3, N, C) Å, with puckered rings as in minima that were found by a smaller search.

    Turning bonds cannot mend a boat or a twisted ring, of which random coordinates make many. Molecules
    without such rings, or without bonds to turn, are folded and no more.

    Parameters
    ----------
    generators, seeds
        One for each molecule.
    """
    if not (engine.n_rotors and has_puckers(topology) and n_candidates > PILOTS):
        return random_starts(engine, topology, parameters, n_candidates, generators)
    n_pilots = max(PILOTS, n_candidates // PILOT_SHARE // LANES * LANES)
    few = random_starts(engine, topology, parameters, n_pilots, generators)
    pilots = sampled_minima(engine, topology, few, seeds=[seed + 1 for seed in seeds], effort=effort)
    sound = is_sound(topology, parameters, pilots.positions) & pilots.energy.isfinite()
    return _drawn(topology, pilots, sound, n_candidates, generators)


def _drawn(
    topology: Topology, pilots: Relaxed, sound: Tensor, n_candidates: int, generators: Sequence[Generator]
) -> Tensor:
    """Draw from minima by Boltzmann weights, (3, N, C) Å; from all alike where none is sound."""
    energy = torch.where(sound, pilots.energy, torch.inf)
    lowest = energy.amin(dim=1, keepdim=True)
    weights = torch.where(lowest.isfinite(), (-(energy - lowest) / RING_KT).exp(), 1.0).cpu()  # (G, c)
    drawn = [
        torch.multinomial(of_one, n_candidates, replacement=True, generator=generator)
        for of_one, generator in zip(weights, generators, strict=True)
    ]
    columns = torch.stack(drawn).to(topology.device)[topology.molecule]  # (N, C)
    return pilots.positions.gather(2, columns.expand(3, -1, -1)).contiguous()


def number_of_candidates(topology: Topology, n_rotors: int, n_conformers: int) -> int:
    """Search several times as widely as conformers are wanted, but not where there is little to find."""
    in_molecule = torch.bincount(topology.molecule[topology.bonds[0, _puckering(topology)]], minlength=1)
    flexibility = n_rotors + int(in_molecule.max()) / 3
    n = min(FEWEST * 2**flexibility, EACH * n_conformers + MORE)
    return -(-int(n) // LANES) * LANES


def sampled_minima(
    engine: Engine, topology: Topology, starts: Tensor, *, seeds: Sequence[int], effort: Effort
) -> Relaxed:
    """Sample the torsions of starts (3, N, C) Å, cooling, and relax them briefly.

    Large rings, which turning a bond would open, are annealed by Langevin dynamics before.

    References
    ----------
    Kirkpatrick, Gelatt and Vecchi, Science 220, 671 (1983).
    """
    n_turns = min(effort.turns_per_rotor * engine.n_rotors, effort.most_turns)
    if has_large_ring(topology):
        smooth = engine.relax(starts, force_tolerance=CLASH_FREE, max_steps=effort.clash_steps)
        schedule = geometric_temperatures(HOT, COLD, effort.annealing) * thermal_energy(1.0)
        starts = engine.anneal(smooth.positions, schedule, seeds)
    if n_turns:
        smooth = engine.relax(starts, force_tolerance=CLASH_FREE, max_steps=effort.clash_steps)
        schedule = geometric_temperatures(HOT, COLD, n_turns) * thermal_energy(1.0)
        starts = engine.turn_bonds(smooth.positions, schedule, seeds)
    return engine.relax(starts, force_tolerance=effort.force_tolerance, max_steps=effort.relax_steps)


def has_puckers(topology: Topology) -> bool:
    """Whether there is a ring that is not flat by its bonds."""
    return bool(_puckering(topology).any())


def _puckering(topology: Topology) -> Tensor:
    bond_type, conjugated, ring = topology.bond_features
    return (bond_type == SINGLE) & (conjugated == 0) & (ring > 0)  # (B,)


def has_large_ring(topology: Topology) -> bool:
    """Whether a single bond is in no ring of less than eight atoms, and in one."""
    bond_type, _, ring = topology.bond_features
    return bool(((ring >= LARGE_RING) & (bond_type == SINGLE)).any())


def is_sound(topology: Topology, parameters: Parameters, positions: Tensor) -> Tensor:
    """Tell which conformers have their declared stereo and lengths near those at rest, (G, C) bool."""
    return follows_stereo(topology, positions) & bonds_are_whole(topology, parameters.bond_length, positions)


def _scattered(topology: Topology, n: int, generators: Sequence[Generator]) -> Tensor:
    """Draw random coordinates in four dimensions, (4, N, n) Å, another stream for each molecule."""
    sizes = topology.atoms_per_molecule().tolist()
    drawn = [
        SIZE * n_atoms ** (1 / 3) * torch.randn(n, 4, n_atoms, generator=generator)
        for n_atoms, generator in zip(sizes, generators, strict=True)
    ]
    return torch.cat(drawn, dim=2).permute(1, 2, 0).contiguous().to(topology.device)


def _filled(topology: Topology, found: Relaxed, good: Tensor, again: Relaxed, better: Tensor) -> tuple[Relaxed, Tensor]:
    """Put the sound ones of `again` in the places of those in `found` that are not."""
    positions, energy, good = found.positions.clone(), found.energy.clone(), good.clone()
    for molecule in (~good).any(dim=1).nonzero().flatten().tolist():
        places = (~good[molecule]).nonzero().flatten()
        sources = better[molecule].nonzero().flatten()[: len(places)]
        places = places[: len(sources)]
        atoms = (topology.molecule == molecule).nonzero().flatten()
        positions[:, atoms[:, None], places] = again.positions[:, atoms[:, None], sources]
        energy[molecule, places] = again.energy[molecule, sources]
        good[molecule, places] = True
    return Relaxed(positions, energy), good
