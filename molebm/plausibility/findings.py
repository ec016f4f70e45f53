"""What is unusual about a structure and where, in words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molebm.plausibility.hydrogen_geometry import bonds_to_hydrogens
from molebm.plausibility.observations import CONJUGATED, CONTACT, ROTAMER, ROTOR, TWIST
from molebm.plausibility.statistics import HIGHEST, Standardised
from molebm.topology import Topology

Numbers = NDArray[np.float64]

WORTH_TELLING: Final = 1.3  # one trusted structure in twenty has as much at its worst term
WORTH_KEEPING: Final = 1.0  # one in ten
_TURNING: Final = (CONJUGATED.name, TWIST.name, ROTOR.name, ROTAMER.name)  # the bond in the middle of four atoms
FAULTY: Final = 26.0  # score of what is wrong whatever the energy says


class Finding(NamedTuple):
    """One term that is not as expected."""

    channel: str
    kind: str
    atoms: tuple[int, ...]  # of its molecule
    score: float  # minus the common logarithm of the share of trusted structures whose worst of the kind is as far off
    given: float
    expected: float
    words: str


def findings(
    terms: Sequence[Standardised],
    scored: Sequence[Tensor],
    weights: Mapping[str, float],
    first_atom: Sequence[int],
    symbols: Sequence[str],
) -> dict[tuple[int, int], list[Finding]]:
    """Collect by molecule and pose what is most unusual, the worst first.

    Parameters
    ----------
    scored
        The scores of the terms, (T, C) each.
    weights
        How loudly each statistic is heard.
    first_atom
        (G,) where the atoms of each molecule begin.
    symbols
        (N,) of all atoms.
    """
    found: dict[tuple[int, int], list[Finding]] = {}
    for term, score in zip(terms, scored, strict=True):
        seen = term.observations
        kind = seen.kind
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
        listed.sort(key=lambda finding: -finding.score - math.log10(weights[finding.kind]))
    return found


def once_a_bond(listed: Sequence[Finding]) -> list[Finding]:
    """Leave out what says again that a bond should be turned; the worst comes first."""
    told: set[frozenset[int]] = set()
    kept = []
    for finding in listed:
        if finding.kind in _TURNING:
            bond = frozenset(finding.atoms[1:3])
            if bond in told:
                continue
            told.add(bond)
        kept.append(finding)
    return kept


def bearers(topology: Topology) -> Tensor:
    """Name for each atom the heavier one that it is bonded to if it is a hydrogen, else itself, (N,)."""
    _, heavier, hydrogens = bonds_to_hydrogens(topology)
    borne_by = torch.arange(topology.n_atoms)
    borne_by[hydrogens] = heavier
    return borne_by


def term_scores(terms: Sequence[Standardised], score: Callable[[str, Numbers], Numbers]) -> list[Tensor]:
    """Score all terms, (T, C) of each kind, by what share of trusted structures has its worst one as far off."""
    found = []
    for term in terms:
        off = term.sharp.nan_to_num(nan=HIGHEST).clamp(max=HIGHEST)
        found.append(torch.from_numpy(score(term.observations.kind.name, off.numpy())))
    return found


def atom_scores(
    terms: Sequence[Standardised], scored: Sequence[Tensor], weights: Mapping[str, float], borne_by: Tensor
) -> Tensor:
    """Give each atom the common logarithm of one plus the weighted sum of what its terms are one in, (N, C).

    A contact of a hydrogen is one of the atom that bears it, too: where it is depends on that.
    """
    n_poses = terms[0].sharp.shape[1]
    total = torch.zeros((len(borne_by), n_poses), dtype=torch.float64)
    for term, score in zip(terms, scored, strict=True):
        kind = term.observations.kind
        part = weights[kind.name] * (10**score - 1)
        for row in term.observations.atoms[1:3] if kind.name in _TURNING else term.observations.atoms:
            total.index_add_(0, row, part)
            if kind is CONTACT:
                on_another = borne_by[row] != row
                total.index_add_(0, borne_by[row[on_another]], part[on_another])
    return (1 + total).log10()
