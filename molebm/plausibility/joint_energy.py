"""An energy of the whole profile of a structure, learned contrastively: low where trusted structures are.

Each channel alone tells its defects well, but a good structure is unusual somewhere, too. What is unusual in one place
of a structure that is otherwise sharp says more than the same in one that is blurred everywhere: the energy is one of
all numbers of the profile together. One network learns every way to be wrong apart from the others: the energy is high
where any of them is likely.
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
Ways = NDArray[np.int64]

HIDDEN: Final = 32
UPDATES: Final = 300
LEARNING_RATE: Final = 3e-3
WEIGHT_DECAY: Final = 0.3
NOISE: Final = 0.3  # of standardised profiles
LEAST_SPREAD: Final = 0.1  # of the logarithms in a profile; what never varies is not believed to a hair


@dataclass(frozen=True)
class JointEnergy:
    """Small networks, M of them, of profiles of P numbers, with one output for each of K ways to be wrong.

    An output is the log-odds that a structure is wrong in that way; the energy is the logarithm of the root
    mean square of their odds, so that the likeliest ways decide, averaged over the networks.
    """

    centre: Numbers  # (M, P)
    spread: Numbers  # (M, P)
    inward: Numbers  # (M, P, H)
    inward_bias: Numbers  # (M, H)
    outward: Numbers  # (M, H, K)
    outward_bias: Numbers  # (M, K)

    def __call__(self, profiles: Numbers) -> Numbers:
        """Return the energies (n,) of profiles (n, P), in units of kT."""
        return np.mean([self.of_member(m, profiles) for m in range(len(self.outward))], axis=0)

    def of_member(self, member: int, profiles: Numbers) -> Numbers:
        """Return the energies (n,) that one network has for profiles (n, P)."""
        x = (profiles - self.centre[member]) / self.spread[member]
        h = (x[:, :, None] * self.inward[member]).sum(axis=1) + self.inward_bias[member]  # the same bits for any n
        log_odds = ((h * expit(h))[:, :, None] * self.outward[member]).sum(axis=1) + self.outward_bias[member]
        return (np.logaddexp.reduce(2 * log_odds, axis=1) - np.log(log_odds.shape[1])) / 2


def learn_joint_energy(
    trusted: Sequence[Numbers], wrong: Sequence[Numbers], ways: Sequence[Ways], *, seed: int = 0
) -> JointEnergy:
    """Learn to tell trusted profiles from those of structures that are wrong in several ways, by noise contrast.

    Both come in M folds of (n, P), with the ways that the wrong ones are wrong in, (n,) from 0 to K - 1; each network
    is learned without one of them, so that the trusted structures of that fold are new to it. To each way the trusted
    structures are compared by themselves: a way that is hard to see is not drowned by one that is easy.

    References
    ----------
    Gutmann and Hyvärinen, J. Mach. Learn. Res. 13, 307 (2012).
    """
    n_ways = 1 + max(int(each.max(initial=0)) for each in ways)
    networks = []
    for fold in range(len(trusted)):
        positive, negative, way = (
            np.concatenate([part for place, part in enumerate(parts) if place != fold])
            for parts in (trusted, wrong, ways)
        )
        networks.append(_learned(positive, negative, np.eye(n_ways)[way], seed + fold))
    return JointEnergy(*(np.stack(each) for each in zip(*networks, strict=True)))


def _learned(positive: Numbers, negative: Numbers, ways: Numbers, seed: int) -> tuple[Numbers, ...]:
    """Train one network; trusted structures weigh as much as those that are wrong in each way, `ways` (n, K)."""
    profiles = np.concatenate([positive, negative])
    centre, spread = profiles.mean(axis=0), np.maximum(profiles.std(axis=0), LEAST_SPREAD)
    x = torch.from_numpy((profiles - centre) / spread).float()
    is_wrong = torch.from_numpy(np.concatenate([np.zeros((len(positive), ways.shape[1])), ways])).float()
    weight = 0.5 * is_wrong / is_wrong.sum(0).clamp(min=1)
    weight[: len(positive)] = 0.5 / len(positive)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)  # noqa: TID251, layers and noise draw from the forked global state
        first, last = nn.Linear(x.shape[1], HIDDEN), nn.Linear(HIDDEN, ways.shape[1])
        network = nn.Sequential(first, nn.SiLU(), last)
        optimiser = torch.optim.AdamW(network.parameters(), lr=LEARNING_RATE, weight_decay=WEIGHT_DECAY)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, UPDATES)
        for _ in range(UPDATES):
            optimiser.zero_grad()
            log_odds = network(x + NOISE * torch.randn_like(x))
            loss = nn.functional.binary_cross_entropy_with_logits(log_odds, is_wrong, weight, reduction="sum")
            torch.autograd.backward(loss)
            optimiser.step()
            schedule.step()
    tensors = (first.weight.T, first.bias, last.weight.T, last.bias)
    return centre, spread, *(each.detach().double().numpy() for each in tensors)


def joint_to_json(energy: JointEnergy) -> dict[str, Any]:
    """Lay an energy out in what JSON knows."""
    return {name: rounded(values) for name, values in vars(energy).items()}


def joint_from_json(content: Mapping[str, Sequence[Any]]) -> JointEnergy:
    """Read what `joint_to_json` laid out."""
    return JointEnergy(**{name: np.array(value, dtype=float) for name, value in content.items()})


def rounded(values: Numbers) -> list[Any]:
    """List numbers of any shape with five digits."""
    return np.vectorize(lambda value: float(f"{value:.5g}"), otypes=[float])(values).tolist()
