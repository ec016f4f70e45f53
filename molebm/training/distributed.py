"""Several processes that train one network, as `torchrun` starts them."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import NamedTuple

import torch
import torch.distributed as dist
from torch import Tensor


class World(NamedTuple):
    """Which of how many processes this is."""

    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0


ALONE = World()


def join(device: torch.device) -> World:
    """Meet the other processes, if `torchrun` has started any; NCCL on GPUs and Gloo on CPUs."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    return World(dist.get_rank(), dist.get_world_size())


def device_of_process(device: torch.device) -> torch.device:
    """Give each process on a node a GPU of its own."""
    if device == torch.device("cuda"):
        return torch.device("cuda", int(os.environ.get("LOCAL_RANK", "0")))
    return device


def average_gradients(parameters: Iterable[Tensor], world: World) -> None:
    """Replace every gradient by its mean over the processes, in one message."""
    if world.size == 1:
        return
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= world.size
    for gradient, mean in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def wait_for_all(world: World) -> None:
    """Go on when every process has come this far."""
    if world.size > 1:
        dist.barrier()


def any_process(flag: bool, world: World, device: torch.device) -> bool:
    """Say whether the flag is set in any process, in all of them alike."""
    if world.size == 1:
        return flag
    told = torch.tensor(float(flag), device=device)
    dist.all_reduce(told, dist.ReduceOp.MAX)
    return bool(told.item())
