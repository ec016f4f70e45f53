"""Options that several commands share, and what their values mean on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from molebm.errors import RequestError

if TYPE_CHECKING:
    import torch

ENERGY_NAMES: Final = ("learned", "mmff94", "mmff94s")  # those of molebm.parametrise, which is slow to import

seed_option = click.option(
    "--seed",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Seed of all random numbers; repeats bit for bit on a CPU.",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where to compute; auto takes the GPU if there is one.",
)
threads_option = click.option(
    "--threads",
    type=click.IntRange(min=1),
    show_default="all cores",
    help="CPU threads to use.",
)
energy_option = click.option(
    "--energy",
    type=click.Choice(ENERGY_NAMES),
    default="learned",
    show_default=True,
    help="Energy to use.",
)
model_option = click.option(
    "--model",
    type=click.Path(path_type=Path),
    help="Checkpoint of the learned energy, if not the shipped.",
)
force_option = click.option("-f", "--force", is_flag=True, help="Overwrite the output if it exists.")
resume_option = click.option(
    "--resume", is_flag=True, help="Go on with the run that was interrupted, if there is one; else begin, or be done."
)
quiet_option = click.option("-q", "--quiet", is_flag=True, help="Show no progress; warnings and errors still appear.")


def resolve_device(name: str) -> torch.device:
    """Turn auto, cpu or cuda into the device to compute on.

    Raises
    ------
    RequestError
        If cuda is asked for and PyTorch sees none.
    """
    import torch

    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        reason = "sees no CUDA device" if torch.version.cuda else "was built without CUDA"
        raise RequestError(f"--device cuda: this PyTorch ({torch.__version__}) {reason}; use --device cpu")
    return torch.device("cuda" if available and name != "cpu" else "cpu")


def resolve_threads(count: int | None) -> int:
    """Turn the number of threads asked for, or none, into the number to use: at most one per core left to us."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(count or cores, cores)


def check_output(path: Path, *, force: bool) -> None:
    """Refuse, before any work is done, an output that is in the way or has no folder to go to.

    Raises
    ------
    RequestError
        If `path` exists and `force` is off, or its folder does not exist.
    """
    if path.is_dir():
        raise RequestError(f"output '{path}' is a folder; name a file")
    if path.exists() and not force:
        raise RequestError(f"output '{path}' exists; name another file, or overwrite it with --force")
    if not path.parent.is_dir():
        raise RequestError(f"folder '{path.parent}' of output '{path.name}' does not exist; create it first")
