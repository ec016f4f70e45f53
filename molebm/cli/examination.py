"""What `molebm doctor` looks at, each by itself, so that one that is broken hides no other."""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from molebm import __version__
from molebm.cli.options import resolve_threads
from molebm.cli.trials import TRIALS

Status: TypeAlias = Literal["ok", "absent", "broken"]
BREAKAGES: Final = (ImportError, OSError, RuntimeError, ValueError, TypeError, ArithmeticError, LookupError)
REQUIRED: Final = {  # distribution: module
    "torch": "torch",
    "torch-geometric": "torch_geometric",
    "rdkit": "rdkit",
    "openmm": "openmm",
    "mdtraj": "mdtraj",
    "numpy": "numpy",
    "pandas": "pandas",
    "click": "click",
    "rich": "rich",
    "pydantic": "pydantic",
    "safetensors": "safetensors",
    "scipy": "scipy",
    "jinja2": "jinja2",
    "matplotlib": "matplotlib",
}
OPTIONAL: Final = {  # distribution: (module, extra)
    "py3Dmol": ("py3Dmol", "viz"),
    "ase": ("ase", "interop"),
    "openmmml": ("openmmml", "interop"),
    "torch-sim-atomistic": ("torch_sim", "interop"),
    "tables": ("tables", "interop"),
    "scikit-learn": ("sklearn", "family"),
    "pymbar": ("pymbar", "family"),
    "pyarrow": ("pyarrow", "hpc"),
    "snakemake": ("snakemake", "hpc"),
    "snakemake-executor-plugin-slurm": ("snakemake_executor_plugin_slurm", "hpc"),
}
COMPILERS: Final = ("cc", "gcc", "clang", "cl")


class Finding(NamedTuple):
    """One thing that was looked at."""

    name: str
    status: Status
    detail: str


def examinations(device: str = "cpu") -> Iterator[Finding]:
    """Look at one thing after another, the slow trials last."""
    yield _tried("Python", _python)
    yield Finding("molebm", "ok", __version__)
    for distribution, module in REQUIRED.items():
        yield _tried(distribution, partial(_imported, distribution, module))
    for distribution, (module, extra) in OPTIONAL.items():
        yield _optional(distribution, module, extra)
    yield Finding("CPU", "ok", f"{resolve_threads(None)} of {os.cpu_count()} cores, {platform.machine()}")
    yield _gpu()
    yield _tried("OpenMM platforms", _platforms)
    compilers = [path for name in COMPILERS if (path := shutil.which(name))]
    yield Finding("C compiler", "ok" if compilers else "absent", compilers[0] if compilers else "needed to build only")
    yield _kernel()
    for weights in shipped_models():
        yield _tried(f"model {weights.stem}", partial(_model, weights))
    yield _tried("calibration", _calibration)
    for name, trial in TRIALS.items():
        yield _tried(name, partial(_timed, trial, device))


def _tried(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, "ok", look())
    except BREAKAGES as error:
        return Finding(name, "broken", f"{type(error).__name__}: {error}")


def _timed(trial: Callable[[str], str], device: str) -> str:
    began = time.perf_counter()
    found = trial(device)
    return f"{found}; {time.perf_counter() - began:.1f} s on {device}"


def _python() -> str:
    return f"{platform.python_version()}, {sys.executable}"


def _imported(distribution: str, module: str) -> str:
    importlib.import_module(module)
    return _version(distribution)


def _version(distribution: str) -> str:
    try:
        return version(distribution)
    except PackageNotFoundError:  # there, but not installed by a package manager of Python
        return "of unknown version"


def _optional(distribution: str, module: str, extra: str) -> Finding:
    if find_spec(module) is None:
        return Finding(distribution, "absent", f'pip install "molebm[{extra}]"')
    return Finding(distribution, "ok", _version(distribution))


def _gpu() -> Finding:
    import torch

    if not torch.cuda.is_available():
        reason = "PyTorch sees none" if torch.version.cuda else f"PyTorch {torch.__version__} was built without CUDA"
        return Finding("GPU", "absent", reason)
    devices = [torch.cuda.get_device_properties(index) for index in range(torch.cuda.device_count())]
    told = (f"{one.name}, {one.total_memory / 2**30:.0f} GiB" for one in devices)
    return Finding("GPU", "ok", f"{'; '.join(told)}; CUDA {torch.version.cuda}")


def _platforms() -> str:
    import openmm

    return " ".join(openmm.Platform.getPlatform(index).getName() for index in range(openmm.Platform.getNumPlatforms()))


def _kernel() -> Finding:
    from molebm.forcefield.native import native_available

    if native_available():
        return Finding("compiled kernel", "ok", "built for the CPU")
    return Finding("compiled kernel", "absent", "not needed, but fast; install molebm where a C compiler is")


def shipped_models(package: Path | None = None) -> list[Path]:
    """Find the weights that ship with the package."""
    return sorted((package or Path(__file__).parents[1]).glob("**/shipped/*.safetensors"))


def _model(weights: Path) -> str:
    """Hold the files of a shipped model against their checksums, and read it."""
    from molebm.family.checkpoint import load_model

    for path in (weights, weights.with_suffix(".json")):
        expected = _checksums(weights.parent).get(path.name, "")
        found = hashlib.sha256(path.read_bytes()).hexdigest()
        if found != expected:
            raise ValueError(f"'{path}' has the SHA-256 {found[:16]}…, not {expected[:16] or 'a known one'}; reinstall")
    load_model(weights)
    return f"{weights.stat().st_size / 2**20:.1f} MiB, checksums match, can be read"


def _checksums(folder: Path) -> dict[str, str]:
    """Read what `sha256sum` wrote."""
    lines = (folder / "SHA256SUMS").read_text(encoding="utf-8").splitlines()
    return {name: digest for digest, name in (line.split() for line in lines)}


def _calibration() -> str:
    from molebm.plausibility.calibration import load_calibration

    found = load_calibration()
    return ", ".join(f"{name} {source.n}" for name, source in found.sources.items())
