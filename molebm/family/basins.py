"""Conformers as basins of torsion states, and the free energy of each from samples."""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import torch
from torch import Generator, Tensor

from molebm.forcefield.geometry import torsion_angle
from molebm.samplers.annealed_importance import bootstrap_error
from molebm.samplers.rotors import find_rotors
from molebm.topology import Topology

NAMES: Final = ("g+", "t", "g-")
"""Torsion angles within 60° of 60°, 180° and -60°."""


class Basin(NamedTuple):
    """What samples say of one combination of torsion states."""

    state: tuple[int, ...]  # place in NAMES, of each torsion
    population: float
    free_energy: float  # kcal/mol above the most populated
    error: float  # kcal/mol, standard error of the free energy; infinite if a chain alone has seen it

    @property
    def name(self) -> str:
        return " ".join(NAMES[place] for place in self.state)


def rotor_torsions(topology: Topology) -> Tensor:
    """Choose one torsion, of the heaviest ends, about each bond that turns, (4, R) int64."""
    axes = {frozenset(pair) for pair in find_rotors(topology).axis[:, :-1].T.tolist()}
    z = topology.atomic_numbers.tolist()
    chosen: dict[frozenset[int], list[int]] = {}
    for atoms in topology.torsions.T.tolist():
        axis = frozenset(atoms[1:3])
        if axis in axes and (axis not in chosen or _weight(z, atoms) > _weight(z, chosen[axis])):
            chosen[axis] = atoms
    return torch.tensor(list(chosen.values()), dtype=torch.int64, device=topology.device).reshape(-1, 4).T


def torsion_states(positions: Tensor, torsions: Tensor) -> Tensor:
    """Tell the state of each torsion (4, R) of conformers (3, N, C) Å, (R, C) int64, places in NAMES."""
    turn = torsion_angle(positions, torsions) % (2 * math.pi)
    return (turn * (3 / (2 * math.pi))).long().clamp(max=2)


def basins(states: Tensor, kT: float, generator: Generator) -> list[Basin]:
    """Count the states (R, C, S) of S samples on each of C independent chains, by rising free energy.

    A molecule without torsions is one basin.
    """
    if not len(states):
        return [Basin((), 1.0, 0.0, 0.0)]
    n_torsions, n_chains, n_samples = states.shape
    flat = states.reshape(n_torsions, -1).T
    kinds, place = flat.unique(dim=0, return_inverse=True)
    of_chain = torch.nn.functional.one_hot(place.view(n_chains, n_samples), len(kinds)).double().mean(1).T  # (B, C)
    most = int(of_chain.mean(1).argmax())

    def relative(chains: Tensor) -> Tensor:
        population = chains.mean(-1)
        return kT * (population[most] / population).log()

    free, error = relative(of_chain), bootstrap_error(relative, of_chain, generator).nan_to_num(nan=math.inf)
    rows = zip(kinds.tolist(), of_chain.mean(1).tolist(), free.tolist(), error.tolist(), strict=True)
    return sorted((Basin(tuple(kind), *figures) for kind, *figures in rows), key=lambda basin: basin.free_energy)


def _weight(z: list[int], atoms: list[int]) -> int:
    return z[atoms[0]] + z[atoms[3]]
