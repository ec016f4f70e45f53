"""Chains as generators: the caller keeps the loop, and with it files, logs and progress bars."""

from collections.abc import Iterable, Iterator

from torch import Generator, Tensor

from molebm.errors import RequestError
from molebm.samplers.sampler import I, S, Sampler


def sample(
    sampler: Sampler[S, I], state: S, *, kT: float | Tensor, n_steps: int, generator: Generator, thin: int = 1
) -> Iterator[tuple[S, I]]:
    """Advance by `n_steps` and yield state and info after every `thin`-th step.

    kT is in kcal/mol and broadcasts to (G, C). To go on from where a chain stopped, pass the last state.

    Raises
    ------
    RequestError
        If `thin` is less than 1.
    """
    if thin < 1:
        raise RequestError(f"thin is the number of steps between samples, 1 or more, and is {thin}")
    for n in range(1, n_steps + 1):
        state, info = sampler.step(state, kT, generator)
        if n % thin == 0:
            yield state, info


def anneal(
    sampler: Sampler[S, I],
    state: S,
    *,
    schedule: Iterable[float | Tensor],
    steps_per_kT: int,
    generator: Generator,
) -> Iterator[tuple[S, I]]:
    """Take `steps_per_kT` steps at each kT of the schedule in turn and yield state and info after each kT.

    Each kT is in kcal/mol and broadcasts to (G, C). `geometric_temperatures` makes a cooling schedule when it
    runs from high to low.

    Raises
    ------
    RequestError
        If `steps_per_kT` is less than 1.
    """
    if steps_per_kT < 1:
        raise RequestError(f"steps_per_kT is 1 or more, and is {steps_per_kT}")
    for kT in schedule:
        for _ in range(steps_per_kT):
            state, info = sampler.step(state, kT, generator)
        yield state, info
