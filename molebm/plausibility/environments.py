"""Chemical environments as numbers, and what trusted structures show in each.

The key of a term says of which atoms it is, from coarse to fine; a finer key is believed as far as it was seen, and
otherwise stands as its coarser one does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from molebm.topology import Topology

Keys = NDArray[np.int64]

SHRINKAGE: Final = 8.0  # observations that a coarser environment counts for
OUTLIER: Final = 4.0  # scales of the coarser environment, beyond which a deviation is cut
MEAN_TO_SCALE: Final = (np.pi / 2) ** 0.5  # standard deviation of a normal over its mean absolute deviation
FEWEST: Final = 3  # observations of an environment that is worth keeping
HYDROGEN: Final = 1  # its atomic number
_GOLDEN: Final = -7046029254386353131  # 2^64 over the golden ratio, as a signed integer
_NEIGHBOUR_CLASS: Final = {6: 1, 7: 5, 8: 25, 9: 625, 17: 625, 35: 625, 53: 625}  # others 125


class AtomTypes(NamedTuple):
    """Numbers for what an atom is, (N,) int64."""

    element: Tensor
    coarse: Tensor  # with aromaticity, degree and charge
    fine: Tensor  # with the neighbours that are not hydrogen


def atom_types(topology: Topology) -> AtomTypes:
    """Classify the atoms by what they and their neighbours are."""
    element = topology.atomic_numbers
    aromatic, degree = topology.atom_features[5], topology.atom_features[3]
    coarse = element + 64 * (aromatic + 2 * (degree + 8 * (topology.formal_charges + 8)))
    classes = torch.full_like(element, 125)
    for number, code in _NEIGHBOUR_CLASS.items():
        classes[element == number] = code
    classes[element == 1] = 0
    around = torch.zeros_like(element)
    i, j = topology.bonds
    around.index_add_(0, i, classes[j]).index_add_(0, j, classes[i])
    return AtomTypes(element, coarse, coarse + 65536 * around)


def key(*parts: Tensor | int) -> Tensor:
    """Mix numbers, in their order, into one of 64 bits."""
    mixed: Tensor | int = 0
    for part in parts:
        mixed = (torch.as_tensor(mixed) ^ torch.as_tensor(part)) * _GOLDEN
        mixed = mixed ^ (mixed >> 29)
    return torch.as_tensor(mixed)


def unordered(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Put the two ends of a symmetric term in order."""
    return torch.minimum(a, b), torch.maximum(a, b)


@dataclass(frozen=True, slots=True)
class Norm:
    """Centre and scale of one kind of deviation, overall and by environment."""

    centre: float
    scale: float
    keys: Keys  # sorted
    centres: NDArray[np.float64]
    scales: NDArray[np.float64]

    def look_up(self, keys: Tensor) -> tuple[Tensor, Tensor]:
        """Return centres and scales (T,) of terms with keys (L, T), from coarse to fine."""
        wanted = keys.cpu().numpy()
        centre, scale = np.full(wanted.shape[1], self.centre), np.full(wanted.shape[1], self.scale)
        if len(self.keys):
            for level in wanted:
                place = np.searchsorted(self.keys, level).clip(max=len(self.keys) - 1)
                known = self.keys[place] == level
                centre = np.where(known, self.centres[place], centre)
                scale = np.where(known, self.scales[place], scale)
        return torch.from_numpy(centre), torch.from_numpy(scale)


def learn_norm(deviations: Tensor, keys: Tensor, *, signed: bool, least_scale: float) -> Norm:
    """Learn what deviations (T,) with keys (L, T) are usual.

    Each environment is drawn to its coarser one by `SHRINKAGE` observations. Deviations that are not `signed` are
    zero at best, and so is their centre.
    """
    values, levels = deviations.double().cpu().numpy(), keys.cpu().numpy()
    centre, scale = 0.0, max(least_scale, float(np.median(np.abs(values))) * 1.4826) if len(values) else least_scale
    if not signed and len(values):
        scale = max(least_scale, _mean_size(values, scale))
    centres, scales = np.full(len(values), centre), np.full(len(values), scale)
    kept: dict[int, tuple[float, float]] = {}
    for level in levels:
        found, place, counts = np.unique(level, return_inverse=True, return_counts=True)
        weight = counts + SHRINKAGE
        parent_centre = np.bincount(place, centres) / counts
        parent_scale = np.bincount(place, scales) / counts
        near = np.clip(values, centres - OUTLIER * scales, centres + OUTLIER * scales)
        mean = (np.bincount(place, near) + SHRINKAGE * parent_centre) / weight if signed else np.zeros(len(found))
        size = np.minimum(np.abs(values - mean[place]), OUTLIER * scales) * MEAN_TO_SCALE
        spread = np.maximum((np.bincount(place, size) + SHRINKAGE * parent_scale) / weight, least_scale)
        centres, scales = mean[place], spread[place]
        often = counts >= FEWEST
        kept |= dict(zip(found[often].tolist(), zip(mean[often], spread[often], strict=True), strict=True))
    ordered = sorted(kept)
    table = np.array([kept[k] for k in ordered]).reshape(-1, 2)
    return Norm(centre, scale, np.array(ordered, dtype=np.int64), table[:, 0], table[:, 1])


def _mean_size(values: NDArray[np.float64], scale: float) -> float:
    """Mean size, of which the largest are cut where they are beyond all proportion."""
    cut = max(scale, float(np.quantile(np.abs(values), 0.9)))
    return float(np.minimum(np.abs(values), OUTLIER * cut).mean()) * MEAN_TO_SCALE
