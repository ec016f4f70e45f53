"""Reference ensembles on disk: safetensors shards that need no chemistry toolkit to read."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from molebm.errors import CheckpointError
from molebm.models.checkpoint import load_tensors, save_tensors
from molebm.topology import Topology, concatenate, separate

MANIFEST: Final = "manifest.json"
_TOPOLOGY: Final = "topology."


@dataclass(frozen=True, slots=True)
class Reference:
    """The reference ensemble of one molecule."""

    name: str
    smiles: str
    split: str  # "train", "validation" or "test", by scaffold
    topology: Topology
    positions: Tensor  # (3, N, C) Å, samples
    temperatures: Tensor  # (C,) K, of each sample
    energies: Tensor  # (C,) kcal/mol, of the samples; contrastive objectives never look at them
    forces: Tensor  # (3, N, C) kcal/mol/Å, on the samples; likewise
    minima: Tensor  # (3, N, M) Å, samples relaxed in the reference energy
    minima_energies: Tensor  # (M,) kcal/mol
    starts: Tensor  # (3, N, S) Å, what the embedding gave, as other places to start chains from


def write_shard(path: Path, references: Sequence[Reference], failed: Sequence[Mapping[str, str]] = ()) -> None:
    """Write molecules with one layout of conformers, complete or not at all.

    `failed` gives the name, source and reason of each molecule that was left out.
    """
    tensors = {
        "positions": torch.cat([r.positions for r in references], dim=1),
        "temperatures": references[0].temperatures,
        "energies": torch.stack([r.energies for r in references]),
        "forces": torch.cat([r.forces for r in references], dim=1),
        "minima": torch.cat([r.minima for r in references], dim=1),
        "minima_energies": torch.stack([r.minima_energies for r in references]),
        "starts": torch.cat([r.starts for r in references], dim=1),
    }
    topology = concatenate([r.topology for r in references])
    tensors |= {_TOPOLOGY + name: value for name, value in topology.tensors().items()}
    texts = {
        "names": [r.name for r in references],
        "smiles": [r.smiles for r in references],
        "splits": [r.split for r in references],
        "failed": list(failed),
    }
    save_tensors(path, tensors, {"texts": json.dumps(texts)})


def read_shard(path: Path) -> list[Reference]:
    """Read the molecules of a shard, in order."""
    tensors = load_tensors(path)
    texts = read_texts(path)
    columns = {n.removeprefix(_TOPOLOGY): v for n, v in tensors.items() if n.startswith(_TOPOLOGY)}
    topologies = separate(Topology(**columns, n_molecules=len(texts["names"])))
    widths = [t.n_atoms for t in topologies]
    return [
        Reference(name, smiles, split, topology, positions, tensors["temperatures"], *labels)
        for name, smiles, split, topology, positions, *labels in zip(
            texts["names"],
            texts["smiles"],
            texts["splits"],
            topologies,
            tensors["positions"].split(widths, dim=1),
            tensors["energies"],
            tensors["forces"].split(widths, dim=1),
            tensors["minima"].split(widths, dim=1),
            tensors["minima_energies"],
            tensors["starts"].split(widths, dim=1),
            strict=True,
        )
    ]


def read_texts(path: Path) -> dict[str, Any]:
    """Read what a shard says of its molecules, without their coordinates."""
    try:
        with safe_open(path, framework="pt") as file:
            return json.loads(file.metadata()["texts"])
    except SafetensorError as error:
        raise CheckpointError(f"'{path}' is damaged ({error}); delete it and prepare again") from error


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read what a folder of shards holds.

    Raises
    ------
    CheckpointError
        If there is no manifest, which means that preparation has not finished.
    """
    try:
        return json.loads((folder / MANIFEST).read_text())
    except (OSError, json.JSONDecodeError) as error:
        raise CheckpointError(
            f"'{folder}' has no readable {MANIFEST} ({error}); run `molebm prepare`, or `molebm featurise`, to its end"
        ) from error


def verified_shards(folder: Path) -> Iterator[Path]:
    """Stream the shards of a folder, in order, checking each one's checksum.

    Raises
    ------
    CheckpointError
        If a shard is missing or is not what the manifest describes.
    """
    for entry in read_manifest(folder)["shards"]:
        path = folder / entry["file"]
        if not path.exists() or checksum(path) != entry["sha256"]:
            raise CheckpointError(f"'{path}' is not what the manifest describes; prepare it again")
        yield path


def read_references(folder: Path, split: str) -> Iterator[Reference]:
    """Stream the molecules of one split, shard by shard."""
    for path in verified_shards(folder):
        yield from (reference for reference in read_shard(path) if reference.split == split)


def checksum(path: Path) -> str:
    """SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_finite(reference: Reference) -> bool:
    """Whether no sample fell into a singularity of the reference energy, as MMFF94's polar hydrogens can."""
    values = (reference.positions, reference.energies, reference.forces, reference.minima, reference.minima_energies)
    return all(bool(torch.isfinite(value).all()) for value in values)


def at_temperature(reference: Reference, temperature: float) -> Tensor:
    """Indices of the samples drawn at a temperature in K, (C',) int64."""
    return torch.nonzero(reference.temperatures == temperature).flatten()
