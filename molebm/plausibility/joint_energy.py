"""An energy of the whole profile of a structure, learned contrastively: low where trusted structures are.

Each channel alone tells its defects well, but a good structure is unusual somewhere, too. What is unusual in one place
of a structure that is otherwise sharp says more than the same in one that is blurred everywhere: the energy is one of
all numbers of the profile together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import expit
from torch import nn

Numbers = NDArray[np.float64]

HIDDEN: Final = 32
UPDATES: Final = 300
LEARNING_RATE: Final = 3e-3
WEIGHT_DECAY: Final = 0.3
NOISE: Final = 0.2  # of standardised profiles
LEAST_SPREAD: Final = 0.1  # of the logarithms in a profile; what never varies is not believed to a hair


@dataclass(frozen=True)
class JointEnergy:
    """Small networks, M of them, of profiles of P numbers; the energy is their mean."""

    centre: Numbers  # (P,)
    spread: Numbers  # (P,)
    inward: Numbers  # (M, P, H)
    inward_bias: Numbers  # (M, H)
    outward: Numbers  # (M, H)
    outward_bias: Numbers  # (M,)

    def __call__(self, profiles: Numbers) -> Numbers:
        """Return the energies (n,) of profiles (n, P), in units of kT."""
        return np.mean([self.of_member(m, profiles) for m in range(len(self.outward))], axis=0)

    def of_member(self, member: int, profiles: Numbers) -> Numbers:
        """Return the energies (n,) that one network has for profiles (n, P)."""
        x = (profiles - self.centre) / self.spread
        h = (x[:, :, None] * self.inward[member]).sum(axis=1) + self.inward_bias[member]  # the same bits for any n
        return (h * expit(h) * self.outward[member]).sum(axis=1) + self.outward_bias[member]


def learn_joint_energy(trusted: Sequence[Numbers], negatives: Sequence[Numbers], *, seed: int = 0) -> JointEnergy:
    """Learn to tell trusted profiles from those of perturbed structures, by noise contrast.

    The log-odds that a profile is of a perturbed structure are its energy, up to a constant. Both come in M folds of
    (n, P); each network is learned without one of them, so that the trusted structures of that fold are new to it.

    References
    ----------
    Gutmann and Hyvärinen, J. Mach. Learn. Res. 13, 307 (2012).
    """
    everything = np.concatenate(trusted)
    centre, spread = everything.mean(axis=0), np.maximum(everything.std(axis=0), LEAST_SPREAD)
    networks = []
    for fold in range(len(trusted)):
        positive, negative = (
            (np.concatenate([part for place, part in enumerate(parts) if place != fold]) - centre) / spread
            for parts in (trusted, negatives)
        )
        networks.append(_learned(positive, negative, seed + fold))
    return JointEnergy(centre, spread, *(np.stack(each) for each in zip(*networks, strict=True)))


def _learned(positive: Numbers, negative: Numbers, seed: int) -> tuple[Numbers, Numbers, Numbers, Numbers]:
    """Train one network; both classes weigh the same."""
    x = torch.from_numpy(np.concatenate([positive, negative])).float()
    is_negative = torch.cat([torch.zeros(len(positive)), torch.ones(len(negative))])
    weight = torch.where(is_negative > 0, 0.5 / len(negative), 0.5 / len(positive))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251, layers and noise draw from the forked global state
        first, last = nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, 1)
        network = nn.Sequential(first, nn.SiLU(), last)
        optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
        for _ in range(UPDATES):
            optimiser.zero_grad()
            energy = network(x + NOISE * torch.randn_like(x))[:, 0]
            loss = nn.functional.binary_cross_entropy_with_logits(energy, is_negative, weight, reduction="sum")
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    tensors = (first.weight.T, first.bias, last.weight[0], last.bias[0])
    inward, inward_bias, outward, outward_bias = (each.detach().double().numpy() for each in tensors)
    return inward, inward_bias, outward, outward_bias


def joint_to_json(energy: JointEnergy) -> dict[str, Any]:
    """Lay an energy out in what JSON knows."""
    return {name: np.vectorize(_rounded)(value).tolist() for name, value in vars(energy).items()}


def joint_from_json(content: Mapping[str, Sequence[Any]]) -> JointEnergy:
    """Read what `joint_to_json` laid out."""
    return JointEnergy(**{name: np.array(value, dtype=float) for name, value in content.items()})


def _rounded(value: float) -> float:
    return float(f"{value:.5g}")
