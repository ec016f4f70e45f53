"""Parallel tempering: hot replicas cross the barriers and hand what they find to the cold ones."""

from typing import Generic, NamedTuple

import torch
from torch import Generator, Tensor

from molebm.errors import RequestError
from molebm.samplers.sampler import DynamicsState, I, ReplicaState, Sampler, over_atoms
from molebm.topology import Topology


class TemperingState(NamedTuple, Generic[ReplicaState]):
    """All temperatures at once: column ``t * n_chains + chain`` is at the t-th temperature."""

    replicas: ReplicaState
    identity: Tensor  # (G, C) int64, the column in which each replica began
    n_rounds: int  # rounds of swaps so far; even and odd pairs take turns

    @property
    def positions(self) -> Tensor:
        return self.replicas.positions

    @property
    def energy(self) -> Tensor:
        return self.replicas.energy


class TemperingInfo(NamedTuple, Generic[I]):
    """How willingly neighbouring temperatures swap, and who is where."""

    inner: I  # of the last step before the swaps
    acceptance: Tensor  # (G, T - 1, n_chains) probability of a swap between temperatures t and t + 1
    swapped: Tensor  # (G, T - 1, n_chains) bool; only every second pair is tried in one round
    identity: Tensor  # (G, C) int64, as in the state: stacked over time, what `round_trips` reads


def geometric_temperatures(low: float, high: float, n: int) -> Tensor:
    """Space n temperatures by a constant factor, (n,) K, as suits a heat capacity that hardly varies."""
    if n < 2:
        return torch.tensor([low])
    return low * (high / low) ** (torch.arange(n) / (n - 1))


def parallel_tempering(
    sampler: Sampler[ReplicaState, I], topology: Topology, *, n_temperatures: int, steps_per_swap: int = 10
) -> Sampler[TemperingState[ReplicaState], TemperingInfo[I]]:
    r"""Run `sampler` at every temperature and swap configurations between neighbouring ones.

    One step is `steps_per_swap` steps of the sampler and one round of swaps, each accepted per molecule and
    chain with probability :math:`\min(1, e^{(\beta_i - \beta_j)(E_i - E_j)})`, which leaves the distribution
    at every temperature as it was. Velocities are rescaled by :math:`\sqrt{T'/T}`. A replica whose energy is
    not finite never swaps. Even and odd pairs of temperatures alternate, which makes replicas drift rather
    than diffuse along the ladder.

    The temperatures are laid in the conformer axis: ``C = n_temperatures * n_chains``, all chains of the
    first temperature first, and kT is a (C,) tensor, ``kT.repeat_interleave(n_chains)``; the chains at the
    first temperature are ``state.positions[..., :n_chains]``.

    Raises
    ------
    RequestError
        If C is not a multiple of `n_temperatures`, or kT is one number.

    References
    ----------
    Sugita and Okamoto, Chem. Phys. Lett. 314, 141 (1999); Syed et al., J. R. Stat. Soc. B 84, 321 (2022).
    """

    def init(positions: Tensor) -> TemperingState[ReplicaState]:
        n_columns = positions.shape[-1]
        if n_columns % n_temperatures:
            raise RequestError(
                f"{n_columns} conformers cannot be shared by {n_temperatures} temperatures: "
                "give each temperature the same number of chains"
            )
        column = torch.arange(n_columns, device=positions.device)
        return TemperingState(sampler.init(positions), column.expand(topology.n_molecules, -1), 0)

    def step(
        state: TemperingState[ReplicaState], kT: float | Tensor, generator: Generator
    ) -> tuple[TemperingState[ReplicaState], TemperingInfo[I]]:
        if not isinstance(kT, Tensor) or kT.dim() == 0:
            raise RequestError(f"tempering needs one kT per conformer, (C,), and got {kT}: see geometric_temperatures")
        replicas = state.replicas
        for _ in range(steps_per_swap):
            replicas, inner = sampler.step(replicas, kT, generator)

        ladder = (topology.n_molecules, n_temperatures, -1)  # (G, T, n_chains)
        energy = replicas.energy.view(ladder)
        beta = 1 / kT.to(energy).expand_as(replicas.energy).reshape(ladder)
        log_ratio = (beta[:, :-1] - beta[:, 1:]) * (energy[:, :-1] - energy[:, 1:])
        acceptance = log_ratio.clamp(max=0).exp().nan_to_num(nan=0.0)
        acceptance *= (energy[:, :-1] - energy[:, 1:]).isfinite()
        swapped = torch.empty_like(acceptance).uniform_(generator=generator) < acceptance
        swapped[:, 1 - state.n_rounds % 2 :: 2] = False  # the pairs that wait for the next round

        n_chains = energy.shape[2]
        source = torch.arange(energy[0].numel(), device=energy.device).view(1, n_temperatures, n_chains)
        source = source.repeat(topology.n_molecules, 1, 1)
        source[:, :-1] += n_chains * swapped
        source[:, 1:] -= n_chains * swapped
        source = source.view_as(replicas.energy)  # (G, C) the column from which each comes
        identity = state.identity.gather(1, source)
        moved = TemperingState(_rearrange(replicas, source, kT, topology), identity, state.n_rounds + 1)
        return moved, TemperingInfo(inner, acceptance, swapped, identity)

    return Sampler(init, step)


def _rearrange(replicas: ReplicaState, source: Tensor, kT: Tensor, topology: Topology) -> ReplicaState:
    """Fetch each replica from the column `source` (G, C), bringing its velocities to the new temperature."""
    atoms = source[topology.molecule].expand_as(replicas.positions)  # (3, N, C)
    moved = replicas._replace(
        positions=replicas.positions.gather(2, atoms),
        energy=replicas.energy.gather(1, source),
        forces=replicas.forces.gather(2, atoms),
    )
    if isinstance(moved, DynamicsState):
        kT = kT.to(replicas.energy).expand_as(replicas.energy)
        rescale = over_atoms((kT / kT.gather(1, source)).sqrt(), topology)
        return moved._replace(velocities=replicas.velocities.gather(2, atoms) * rescale)
    return moved


def round_trips(identities: Tensor, *, n_temperatures: int) -> Tensor:
    """Count how often each replica went from the first temperature to the last and back, (G, C) int64.

    Parameters
    ----------
    identities
        (S, G, C) int64, `TemperingInfo.identity` of S steps. Column r of the result is the replica that
        began in column r.
    """
    n_chains = identities.shape[-1] // n_temperatures
    column = identities.argsort(dim=-1)  # (S, G, C) where each replica is
    first, last = column < n_chains, column >= (n_temperatures - 1) * n_chains
    trips = torch.zeros_like(identities[0])
    begun, homeward = torch.zeros_like(first[0]), torch.zeros_like(first[0])
    for at_first, at_last in zip(first, last, strict=True):
        trips += homeward & at_first
        homeward = (homeward & ~at_first) | (begun & at_last)
        begun = begun | at_first
    return trips
