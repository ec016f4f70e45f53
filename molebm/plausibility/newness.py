"""How new a molecule is, by a Boltzmann machine over the surroundings that a library has never seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Final

import torch
from torch import Tensor

from molebm.chem.circles import RADIUS, Circle
from molebm.family.features import Features
from molebm.family.rbm import RbmConfig, RestrictedBoltzmannMachine
from molebm.family.rbm_partition import exact_ln_partition
from molebm.family.run import fit

UNSEEN: Final = (1, 2, 3, 4, 6, 8, 12, 16)  # circles of a radius in no other molecule, from which a bit is set
SIZES: Final = (8, 12, 16, 20, 24, 28, 32, 40, 50)  # heavy atoms, from which a bit is set
HIDDEN: Final = 16
UPDATES: Final = 400
N_BITS: Final = len(UNSEEN) * (RADIUS + 1) + len(SIZES)


def unseen_circles(circles: Sequence[Circle], seen: Counter[int], own: int) -> list[Circle]:
    """Circles that no molecule has but the molecule itself, which is among those counted if `own` is 1."""
    return [circle for circle in circles if seen[circle.key] <= own]


def bits_of(unseen: Sequence[Circle], n_heavy: int) -> Tensor:
    """Write the numbers of unseen circles by radius, and the size, as thermometers of bits, (N_BITS,) uint8."""
    counts = Counter(circle.radius for circle in unseen)
    bits = [counts[radius] >= step for radius in range(RADIUS + 1) for step in UNSEEN]
    return torch.tensor([*bits, *(n_heavy >= size for size in SIZES)], dtype=torch.uint8)


class Newness:
    r"""A restricted Boltzmann machine, trained in seconds, whose energy is :math:`-\ln p` of these bits.

    Few unseen surroundings cost little, many of them much, and less in large molecules, which have more: that is
    what the machine learns. It is so small that its partition function is summed exactly.

    Parameters
    ----------
    bits
        (n, N_BITS) of the molecules of the library, each without itself.
    """

    def __init__(self, bits: Tensor, seed: int = 0) -> None:
        config = RbmConfig(hidden=HIDDEN, objective="pcd", n_steps=1, updates=UPDATES, seed=seed)
        data = Features({"x": bits}, ["train"] * len(bits), [""] * len(bits), {})
        self._machine = fit(RestrictedBoltzmannMachine, config, data).double()
        self._ln_partition = exact_ln_partition(self._machine)

    def energy(self, bits: Tensor) -> Tensor:
        """Minus the natural logarithm of the probability of bits (n, N_BITS), (n,) nats."""
        with torch.no_grad():
            return self._machine.energy(bits.double()) + self._ln_partition

    def blame(self, unseen: Sequence[Circle], n_heavy: int) -> list[float]:
        """Share out by circle what the energy would be lower without the unseen circles of its radius, nats."""
        counts = Counter(circle.radius for circle in unseen)
        whole = bits_of(unseen, n_heavy)
        without = [bits_of([c for c in unseen if c.radius != radius], n_heavy) for radius in counts]
        energies = self.energy(torch.stack([whole, *without]))
        saved = dict(zip(counts, (energies[0] - energies[1:]).tolist(), strict=True))
        return [saved[circle.radius] / counts[circle.radius] for circle in unseen]
