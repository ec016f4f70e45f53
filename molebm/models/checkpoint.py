"""A learned model on disk: weights as safetensors, everything else as JSON beside them."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from molebm.errors import CheckpointError
from molebm.forcefield.energy import EnergyFn
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import Parameters
from molebm.models.couplings import ResidualEnergy
from molebm.models.network import ParameterNetwork
from molebm.models.residual import ResidualNetwork
from molebm.topology import Topology

FORMAT: Final = 1
SHIPPED: Final = Path(__file__).parent / "shipped" / "molebm-1"
"""The model that ships with the package and is used where no other is named."""
_RESIDUAL: Final = "residual."  # prefix of its weights


@dataclass(frozen=True, slots=True)
class LearnedModel:
    """A trained network and what is known about it: settings, calibration, provenance."""

    network: ParameterNetwork
    metadata: Mapping[str, Any]
    residual: ResidualNetwork | None = None

    def parameters(self, topology: Topology) -> Parameters:
        """Predict the kernel's parameters, detached, in single precision on the device of the topology.

        A network in double precision, as `load_model` gives it, rounds them alike whatever comes beside a molecule,
        and in whatever order its atoms are.
        """
        with torch.no_grad():
            return self.network.to(topology.device)(topology).to(dtype=torch.float32)

    def energy(self, topology: Topology) -> EnergyFn:
        """Bind the kernel, and the residual if there is one, to a topology."""
        mechanical = MechanicalEnergy(topology, self.parameters(topology))
        if self.residual is None:
            return mechanical
        with torch.no_grad():
            return ResidualEnergy(topology, mechanical, self.residual.to(topology.device)(topology))


def save_model(
    path: Path, network: ParameterNetwork, metadata: Mapping[str, Any], residual: ResidualNetwork | None = None
) -> None:
    """Write `path`.safetensors and `path`.json, each complete or not at all.

    `metadata` must be JSON and hold under "network" the arguments that build the network, and under
    "residual" those that build the residual, if there is one.

    Raises
    ------
    ValueError
        If there is a residual without its arguments, or the reverse.
    """
    if (residual is not None) != ("residual" in metadata):
        raise ValueError('a model has both a residual and metadata under "residual", or neither')
    weights = network.state_dict()
    if residual is not None:
        weights |= residual.state_dict(prefix=_RESIDUAL)
    path.parent.mkdir(parents=True, exist_ok=True)
    save_tensors(path.with_suffix(".safetensors"), weights)
    write_json(path.with_suffix(".json"), {"format": FORMAT, **metadata})


def load_model(path: str | Path | None = None) -> LearnedModel:
    """Load a model by the name of either of its files, or the shipped one.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, or was written by an incompatible version.
    """
    stem = SHIPPED if path is None else Path(path).with_suffix("")
    try:
        metadata = json.loads(stem.with_suffix(".json").read_text())
        weights = load_tensors(stem.with_suffix(".safetensors"))
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(f"no model at '{stem}': {error}; give the name of its .safetensors file") from error
    if metadata.get("format") != FORMAT:
        raise CheckpointError(f"'{stem}' has format {metadata.get('format')}, this version reads {FORMAT}; retrain it")
    network = ParameterNetwork(**metadata["network"])
    residual = ResidualNetwork(**metadata["residual"]) if "residual" in metadata else None
    try:
        if residual is not None:
            own = [name for name in weights if name.startswith(_RESIDUAL)]
            residual.load_state_dict({name.removeprefix(_RESIDUAL): weights.pop(name) for name in own})
            residual.eval().requires_grad_(False)
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise CheckpointError(f"the weights of '{stem}' do not fit its settings: {error}") from error
    return LearnedModel(network.double().eval().requires_grad_(False), metadata, residual)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: dict[str, str] | None = None) -> None:
    """Write tensors to a temporary name in the same folder and rename."""
    partial = path.with_name(f".{path.name}.partial")
    save_file({name: value.contiguous() for name, value in tensors.items()}, partial, metadata)
    os.replace(partial, path)


def load_tensors(path: Path) -> dict[str, Tensor]:
    """Read all tensors of a safetensors file."""
    try:
        return load_file(path)
    except SafetensorError as error:
        raise CheckpointError(f"'{path}' is damaged ({error}); restore it from a copy") from error


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON to a temporary name in the same folder and rename."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n")
    os.replace(partial, path)
