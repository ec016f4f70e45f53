r"""Partition functions of restricted Boltzmann machines: exact where a layer is small, by annealing where not."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn.functional import softplus

from molebm.errors import RequestError
from molebm.family.rbm import RestrictedBoltzmannMachine
from molebm.samplers.annealed_importance import (
    Bracket,
    LogRatio,
    annealed_importance,
    bracket,
    log_ratio,
)
from molebm.samplers.thermodynamic_integration import Integral, slopes_along, thermodynamic_integration

MOST_ENUMERATED: Final = 24  # bits of the smaller layer
_ROWS: Final = 1 << 14  # states at once


class LnPartition(NamedTuple):
    """ln Z of a machine from chains in one direction, in both, or along a path in equilibrium; all in nats."""

    forward: LogRatio  # of chains from independent bits
    both: Bracket  # of these and of chains back
    integral: Integral  # of slopes in equilibrium


def all_bits(n: int, first: int = 0, last: int | None = None) -> Tensor:
    """Rows `first` to `last` of all 2^n states of n bits, (2^n, n)."""
    numbers = torch.arange(first, 2**n if last is None else last)
    return (numbers[:, None] >> torch.arange(n - 1, -1, -1)).bitwise_and(1).double()


@torch.no_grad()
def exact_ln_partition(machine: RestrictedBoltzmannMachine) -> float:
    r"""Sum over all states of the smaller layer, the other being summed in closed form.

    Raises
    ------
    RequestError
        If both layers are too large.
    """
    W, b, c = (p.detach().double() for p in (machine.weights, machine.visible_bias, machine.hidden_bias))
    if len(c) > len(b):
        W, b, c = W.T, c, b
    n = len(c)
    if n > MOST_ENUMERATED:
        raise RequestError(f"the smaller layer has {n} bits, and at most {MOST_ENUMERATED} are enumerated; anneal it")
    parts = []
    for first in range(0, 2**n, _ROWS):
        h = all_bits(n, first, min(2**n, first + _ROWS)).to(W.device)
        parts.append((h @ c + softplus(h @ W.T + b).sum(-1)).logsumexp(0))
    return torch.stack(parts).logsumexp(0).item()


class Path(NamedTuple):
    r"""Machines from independent bits, :math:`\lambda = 0`, to a trained one.

    :math:`W_\lambda = \lambda W`, :math:`c_\lambda = \lambda c` and :math:`b_\lambda = (1-\lambda) a + \lambda b`, so
    that the energy is linear in :math:`\lambda` and each machine is sampled by block Gibbs. The state of C chains is
    (C, V + H), visible bits first.

    References
    ----------
    Salakhutdinov and Murray, ICML, 872 (2008).
    """

    machine: RestrictedBoltzmannMachine  # float64
    base: Tensor  # (V,) a, the biases of the independent bits

    @property
    def ln_base(self) -> float:
        """Ln Z of the independent bits, in closed form."""
        return softplus(self.base).sum().item() + len(self.machine.hidden_bias) * math.log(2)

    def start(self, n_chains: int, generator: Generator) -> Tensor:
        v = torch.bernoulli(torch.sigmoid(self.base).expand(n_chains, -1), generator=generator)
        return self.move(torch.cat([v, v.new_zeros((n_chains, len(self.machine.hidden_bias)))], -1), 0.0, generator)

    def marginal(self, state: Tensor, position: float) -> Tensor:
        """Ln of the unnormalised density of the visible bits, (C,), hidden ones summed out."""
        v, _ = self._layers(state)
        bias = torch.lerp(self.base, self.machine.visible_bias, position)
        h = position * (v @ self.machine.weights + self.machine.hidden_bias)
        return v @ bias + softplus(h).sum(-1)

    def slope(self, state: Tensor) -> Tensor:
        r""":math:`d \ln f_\lambda / d\lambda` (C,) of visible and hidden bits together, which is linear."""
        v, h = self._layers(state)
        return v @ self.base.neg() - self.machine.joint_energy(v, h)

    def move(self, state: Tensor, position: float, generator: Generator) -> Tensor:
        """Sample the hidden bits, then the visible ones."""
        machine = self.machine
        v, _ = self._layers(state)
        h = torch.bernoulli(torch.sigmoid(position * (v @ machine.weights + machine.hidden_bias)), generator=generator)
        bias = torch.lerp(self.base, machine.visible_bias, position)
        v = torch.bernoulli(torch.sigmoid(position * (h @ machine.weights.T) + bias), generator=generator)
        return torch.cat([v, h], -1)

    def _layers(self, state: Tensor) -> tuple[Tensor, Tensor]:
        n = len(self.base)
        return state[:, :n], state[:, n:]


@torch.no_grad()
def annealed_ln_partition(
    path: Path,
    end: Tensor,
    generator: Generator,
    *,
    n_rungs: int = 1000,
    n_integral: int = 30,
    n_equilibration: int = 20,
    n_samples: int = 50,
) -> LnPartition:
    """Estimate ln Z of the machine at the end of a path, with bounds and standard errors.

    Parameters
    ----------
    end
        (C, V) bits drawn from the machine, exactly for the upper bound to be one: long chains from data are nearly so.
    n_rungs
        Of annealing, each one sweep of block Gibbs.
    n_integral, n_equilibration, n_samples
        Rungs of the thermodynamic integration, and sweeps at each before and while slopes are sampled.

    References
    ----------
    Neal, Stat. Comput. 11, 125 (2001). Grosse, Ghahramani and Adams, arXiv:1511.02543 (2015), for the chains back.
    """
    n_chains = len(end)
    schedule = torch.linspace(0, 1, n_rungs).tolist()
    there = _last(path, path.start(n_chains, generator), schedule, generator)
    hidden = end.new_zeros((n_chains, len(path.machine.hidden_bias)))
    stopped = path.move(torch.cat([end, hidden], -1), 1.0, generator)
    back = _last(path, stopped, schedule[::-1], generator)
    rungs = [(k / (n_integral - 1)) ** 2 for k in range(n_integral)]  # closer where the bits are nearly independent
    start = path.start(n_chains, generator)
    options = {"n_equilibration": n_equilibration, "n_samples": n_samples}
    slopes = [found for _, found in slopes_along(path.slope, path.move, start, rungs, generator, **options)]
    integral = thermodynamic_integration(torch.stack(slopes), rungs, generator)
    forward, both, zero = log_ratio(there, generator), bracket(there, back, generator), path.ln_base
    return LnPartition(
        forward._replace(value=forward.value + zero, bound=forward.bound + zero),
        both._replace(value=both.value + zero, lower=both.lower + zero, upper=both.upper + zero),
        integral._replace(value=integral.value + zero, lower=integral.lower + zero, upper=integral.upper + zero),
    )


def path_to(machine: RestrictedBoltzmannMachine, means: Tensor) -> Path:
    """Begin at independent bits with these means, (V,), those of the data."""
    copy = RestrictedBoltzmannMachine(**machine.settings()).double()
    copy.load_state_dict(machine.state_dict())
    n = 1e3  # rows that a bit is taken to have been seen set and unset once in, so that none is impossible
    return Path(copy.requires_grad_(False), ((means.double() * n + 1) / (n + 2)).logit())


def _last(path: Path, state: Tensor, schedule: Sequence[float], generator: Generator) -> Tensor:
    rungs = annealed_importance(path.marginal, path.move, state, schedule, generator)
    ((_, log_weights),) = deque(rungs, maxlen=1)
    return log_weights
