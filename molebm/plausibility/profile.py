"""The profile of a structure: how far off its terms are, of each kind and altogether, as numbers for a network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from molebm.plausibility.measurement import Measurement
from molebm.plausibility.observations import (
    ANGLE,
    BOND,
    CONJUGATED,
    FLAT,
    KINDS,
    PLANE,
    RING,
    RING_ANGLE,
    RING_BOND,
    STIFF,
)
from molebm.plausibility.statistics import Standardised, largest

N_LARGEST: Final = 3  # terms of each kind that are listed
HIGHEST: Final = 1e4  # scales; nothing is further off
CAPS: Final = (30.0, 4.0)  # scales, at which terms are cut in the mean size and in the root mean square
_LISTED: Final = (*(f"largest {place}" for place in range(1, N_LARGEST + 1)), "mean size", "root mean square")
_SHARP: Final = ("sharpest", "sharpest three")  # the worst term, and the worst ones on average
_DRIFTING: Final = (BOND, RING_BOND, ANGLE, RING_ANGLE)  # whose mean says whether all are off one way
_LOCAL: Final = (*_DRIFTING, PLANE, STIFF, FLAT, CONJUGATED, RING)  # whose terms add up where something is wrong

WITHOUT_STRAIN: Final = (
    *(f"{kind.name}, {what}" for kind in KINDS for what in (*_LISTED, *(_SHARP if kind.signed else ()))),
    *(f"{kind.name}, mean" for kind in _DRIFTING),
    "worst atom",
    "mean atom",
    "heavy atoms",
)
PROFILE: Final = (*WITHOUT_STRAIN, "strain", "strain of an atom")
"""What the numbers of a profile are; the strain comes last."""


def profile(measurement: Measurement, terms: Sequence[Standardised]) -> Tensor:
    """Sum up the standardised terms of a measurement, (G, C, P), P being that of `PROFILE` where strain is measured.

    Numbers are logarithms of one plus a size: what matters is how many times a fault is as large as what is usual.
    """
    shape = measurement.energy.shape
    columns: list[Tensor] = []
    drifts: list[Tensor] = []
    for term in terms:
        z, molecule = term.z.nan_to_num(nan=HIGHEST).clamp(-HIGHEST, HIGHEST), term.observations.molecule
        size = z.abs()
        counts = _sum(term.counted().to(z), molecule, shape[0]).clamp(min=1)
        mean, square = (size.clamp(max=cap) for cap in CAPS)
        columns += [*largest(size, molecule, shape[0], N_LARGEST), _sum(mean, molecule, shape[0]) / counts]
        columns.append((_sum(square**2, molecule, shape[0]) / counts).sqrt())
        if term.observations.kind.signed:
            worst = term.worst(shape[0], N_LARGEST)
            columns += [sharp.clamp(max=HIGHEST) for sharp in (worst[0], torch.stack(worst).mean(0))]
        if term.observations.kind in _DRIFTING:
            drifts.append((_sum(z.clamp(-CAPS[1], CAPS[1]), molecule, shape[0]) / counts).abs())
    heavy = measurement.heavy_atoms[:, None].expand(shape)
    columns += [*drifts, *_by_atoms(terms, heavy), heavy]
    if measurement.strain is not None:
        columns += [measurement.strain, measurement.strain / heavy]
    return torch.stack(columns, dim=2).log1p()


def _sum(values: Tensor, molecule: Tensor, n_molecules: int) -> Tensor:
    """Add up the terms (T, C) of each molecule, (G, C)."""
    return values.new_zeros((n_molecules, values.shape[1])).index_add(0, molecule, values)


def _by_atoms(terms: Sequence[Standardised], heavy: Tensor) -> tuple[Tensor, Tensor]:
    """Add up for each atom what its terms say; the worst of each molecule, and what a heavy atom has, (G, C)."""
    local = [term for term in terms if term.observations.kind in _LOCAL]
    n_atoms = 1 + max((int(term.observations.atoms.max()) for term in local if len(term.z)), default=0)
    of_atom = heavy.new_zeros((n_atoms, heavy.shape[1]))
    molecule = torch.zeros(n_atoms, dtype=torch.int64)
    for term in local:
        says = (term.z.nan_to_num(nan=HIGHEST).clamp(-HIGHEST, HIGHEST) ** 2).log1p()
        for row in term.observations.atoms:
            of_atom.index_add_(0, row, says)
            molecule[row] = term.observations.molecule
    worst = torch.zeros_like(heavy).scatter_reduce(0, molecule[:, None].expand_as(of_atom), of_atom, "amax")
    return worst, torch.zeros_like(heavy).index_add(0, molecule, of_atom) / heavy
