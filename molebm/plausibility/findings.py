"""What is unusual about a structure and where, in words."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

import torch
from torch import Tensor

from molebm.plausibility.observations import CONTACT, ROTOR
from molebm.plausibility.statistics import STATISTICS, Standardised
from molebm.topology import Topology

WORTH_TELLING: Final = 1.0  # of what one trusted structure in twenty has at its worst term
WORTH_KEEPING: Final = 0.5  # of the same
HIGHEST: Final = 1e6  # score of a term
OF_ROTOR: Final = 0.5  # weight in the score of an atom: what turning a bond gains is in part of what it sets free
FAULTY: Final = 100.0  # score of what is wrong whatever the energy says
POWER: Final = 4.0  # of the sum over terms that makes the score of an atom
_STATISTIC_OF: Final = {kind: statistic for statistic, kinds in STATISTICS.items() for kind in kinds}


class Finding(NamedTuple):
    """One term that is not as expected."""

    channel: str
    kind: str
    atoms: tuple[int, ...]  # of its molecule
    score: float  # 1 where one trusted structure in twenty has as much at its worst term of the kind
    given: float
    expected: float
    words: str


def findings(
    terms: Sequence[Standardised], usual: Callable[[str], float], first_atom: Sequence[int], symbols: Sequence[str]
) -> dict[tuple[int, int], list[Finding]]:
    """Collect by molecule and pose what is most unusual, the worst first.

    Parameters
    ----------
    usual
        What one trusted structure in twenty exceeds, by statistic.
    first_atom
        (G,) where the atoms of each molecule begin.
    symbols
        (N,) of all atoms.
    """
    found: dict[tuple[int, int], list[Finding]] = {}
    for term in terms:
        seen = term.observations
        kind = seen.kind
        score = (term.sharp / usual(_STATISTIC_OF[kind.name])).nan_to_num(nan=torch.inf)
        for place, pose in (score >= WORTH_KEEPING).nonzero().tolist():
            molecule = int(seen.molecule[place])
            start = first_atom[molecule]
            atoms = seen.atoms[:, place].tolist()
            names = dict(zip("abcd", (f"{symbols[atom]}{atom - start}" for atom in atoms), strict=False))
            given, expected = float(seen.given[place, pose]), float(term.expected[place, pose])
            words = kind.words.format(
                **names,
                given=given,
                expected=expected,
                deviation=float(seen.deviation[place, pose]),
                scale=float(term.scale[place]),
            )
            finding = Finding(
                kind.channel,
                kind.name,
                tuple(atom - start for atom in atoms),
                float(score[place, pose]),
                given,
                expected,
                words,
            )
            found.setdefault((molecule, pose), []).append(finding)
    for listed in found.values():
        listed.sort(key=lambda finding: -finding.score)
    return found


def bearers(topology: Topology) -> Tensor:
    """Name for each atom the heavier one that it is bonded to if it is a hydrogen, else itself, (N,)."""
    borne_by = torch.arange(topology.n_atoms)
    hydrogen = topology.atomic_numbers == 1
    for i, j in (topology.bonds, topology.bonds.flip(0)):
        on_heavier = hydrogen[i] & ~hydrogen[j]
        borne_by[i[on_heavier]] = j[on_heavier]
    return borne_by


def atom_scores(terms: Sequence[Standardised], usual: Callable[[str], float], borne_by: Tensor) -> Tensor:
    """Give each atom the fourth root of the sum of the fourth powers of the scores of its terms, (N, C).

    A contact of a hydrogen is one of the atom that bears it, too: where it is depends on that.
    """
    n_poses = terms[0].sharp.shape[1]
    total = torch.zeros((len(borne_by), n_poses), dtype=torch.float64)
    for term in terms:
        kind = term.observations.kind
        score = (term.sharp / usual(_STATISTIC_OF[kind.name])).nan_to_num(nan=HIGHEST)
        power = ((OF_ROTOR if kind is ROTOR else 1.0) * score.clamp(max=HIGHEST)) ** POWER
        for row in term.observations.atoms:
            total.index_add_(0, row, power)
            if kind is CONTACT:
                on_another = borne_by[row] != row
                total.index_add_(0, borne_by[row[on_another]], power[on_another])
    return total ** (1 / POWER)
