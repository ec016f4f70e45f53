"""Which of the kernel's forms computes a batch: decided by the input alone, so that every run decides the same."""

from __future__ import annotations

import functools
import logging
import os
import shutil
import sysconfig
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import torch
from rdkit import Chem

from molebm.chem.graph import topology_from_mol
from molebm.conformers.search import FULL, SHORT, Effort
from molebm.conformers.settings import GenerationSettings
from molebm.forcefield.mechanics import Backend, MechanicalEnergy
from molebm.forcefield.native import native_available
from molebm.forcefield.parameters import concatenate_parameters
from molebm.parametrise import Parametrise
from molebm.topology import concatenate

COMPILE_AFTER: Final = {"cpu": 1e5, "cuda": 2e8}
"""Pairs times chains after which it pays to compile, for half a minute: on a CPU a few drugs."""


def choose_backend(settings: GenerationSettings, work: float) -> Backend:
    """Choose by the pairs times chains that the input has held so far."""
    kind = settings.device.partition(":")[0]
    if settings.compile == "on":
        return "compiled"
    if kind == "cpu" and native_available():
        return "native"
    if settings.compile == "auto" and work > COMPILE_AFTER.get(kind, float("inf")) and can_compile(kind):
        return "compiled"
    return "torch"


def devices_of(device: str) -> list[str]:
    """List every GPU that is visible where only cuda is asked for, and else the one device that is."""
    if device != "cuda":
        return [device]
    return [f"cuda:{number}" for number in range(torch.cuda.device_count())] or [device]


def effort_for(device: str) -> Effort:
    """Do less where an evaluation is slow, the same for all molecules of a run."""
    return SHORT if device.startswith("cpu") and not native_available() else FULL


@functools.cache
def can_compile(kind: str) -> bool:
    """Whether what PyTorch's compiler needs is installed: a C++ compiler and Python's headers, or Triton."""
    if kind == "cuda":
        return find_spec("triton") is not None
    compilers = (os.environ.get("CXX"), "g++", "clang++", "cl")
    headers = Path(sysconfig.get_paths()["include"], "Python.h")
    return headers.exists() and any(shutil.which(compiler) for compiler in compilers if compiler)


@functools.cache
def compiler_works(parametrise: Parametrise, device: str) -> bool:
    """Compile the kernel on five small molecules, which warms it up for all others; False if the compiler fails.

    No two kinds of term are equally many there, lest the compiler take them to be equally many everywhere.
    """
    mol = Chem.AddHs(Chem.MolFromSmiles("CC(=O)NCC(C)=O"))
    one = topology_from_mol(mol).to(device)
    topology = concatenate([one] * 5)
    parameters = concatenate_parameters([parametrise([mol], one)] * 5)
    positions = torch.linspace(0, 1, 3 * topology.n_atoms * 16, device=device)
    try:
        MechanicalEnergy(topology, parameters, "compiled").energy_and_forces(
            positions.view(3, topology.n_atoms, 16).clone()
        )
    except RuntimeError as error:  # of PyTorch's compiler, whatever its kind
        logging.getLogger(__name__).warning("the kernel cannot be compiled and will be slower: %s", error)
        return False
    return True
