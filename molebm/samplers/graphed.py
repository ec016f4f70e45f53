"""A step of a sampler as one launch on a GPU: recorded once, replayed for every step."""

from __future__ import annotations

from typing import Any, Final

import torch
from torch import Generator, Tensor

from molebm.samplers.sampler import I, S, Sampler

WARM_UP: Final = 3  # steps before the recording, which must not allocate or compile


def graphed(sampler: Sampler[S, I], state: S, *, generator: Generator) -> Sampler[S, I]:
    """Record one step on a GPU, from a state like those that it will be given; elsewhere return the sampler as it is.

    The step that comes out launches once in place of hundreds of times, and nothing waits for the processor in between.
    It has room for one state only: the state and info that it returns are overwritten by the next step, so clone
    what is to be kept. kT may be a float or a tensor of at most two dimensions that broadcasts to (G, C), always of one
    shape; it is read anew at each step, and so is the generator, which must be the same throughout.
    """
    positions: Tensor = state.positions  # type: ignore[attr-defined]
    if positions.device.type != "cuda":
        return sampler
    shapes: dict[tuple[int, ...], _Recording] = {}

    def step(given: S, kT: float | Tensor, of_chance: Generator) -> tuple[S, I]:
        if of_chance is not generator:
            return sampler.step(given, kT, of_chance)
        value = torch.as_tensor(kT, dtype=positions.dtype)
        shape = tuple(value.shape)
        if shape not in shapes:
            shapes[shape] = _Recording(sampler, given, value.to(positions.device), generator)
        return shapes[shape].replay(given, value)

    return Sampler(sampler.init, step)


class _Recording:
    """One step that was recorded, and the memory that it reads and writes."""

    def __init__(self, sampler: Sampler[Any, Any], state: Any, kT: Tensor, generator: Generator) -> None:
        self._state = type(state)(*(part.clone() for part in state))
        self._kT = kT.clone()
        chance = generator.get_state()
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                sampler.step(self._state, self._kT, generator)
        torch.cuda.current_stream().wait_stream(side)
        generator.set_state(chance)
        self._graph = torch.cuda.CUDAGraph()
        self._graph.register_generator_state(generator)
        with torch.cuda.graph(self._graph):
            after, self._info = sampler.step(self._state, self._kT, generator)
            for place, value in zip(self._state, after, strict=True):
                place.copy_(value)

    def replay(self, given: Any, kT: Tensor) -> tuple[Any, Any]:
        for place, value in zip(self._state, given, strict=True):
            if place is not value:
                place.copy_(value)
        self._kT.copy_(kT)
        self._graph.replay()
        return self._state, self._info
