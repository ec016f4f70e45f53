"""From SMILES to shards of reference ensembles, in parallel and resumable."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom

from molebm.chem.cleaning import check_molecule
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.reading import Record
from molebm.errors import EmbeddingError, MoleculeError
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import Parameters, concatenate_parameters
from molebm.preparation.ensembles import EnsembleSettings, reference_ensemble
from molebm.preparation.folders import Failed, claim, write_manifest
from molebm.preparation.scaffolds import scaffold_split
from molebm.processes import process_pool
from molebm.references.mmff import mmff_parameters
from molebm.topology import Topology, concatenate
from molebm.training.shards import Reference, is_finite, read_texts, write_shard


@dataclasses.dataclass(frozen=True, slots=True)
class PreparationSettings:
    """What is prepared and how."""

    ensemble: EnsembleSettings = EnsembleSettings()
    variant: str = "MMFF94"
    max_atoms: int = 80  # with hydrogens; larger molecules are left out
    molecules_per_shard: int = 32
    seed: int = 0


class ShardDone(NamedTuple):
    """What has become of one shard's worth of input."""

    position: int
    n_molecules: int
    failed: list[Failed]


class _Item(NamedTuple):
    """A record as it travels to a worker."""

    position: int
    name: str
    source: str
    smiles: str | None
    error: str | None


class _Prepared(NamedTuple):
    item: _Item
    mol: Chem.Mol
    topology: Topology
    parameters: Parameters


def prepare(
    records: Iterable[Record], folder: Path, settings: PreparationSettings, n_processes: int
) -> Iterator[ShardDone]:
    """Write one shard after another and, when all are there, the manifest.

    A shard that is already there is kept, so a run that was cut off goes on where it stopped.
    Yields as shards are finished, in no fixed order; their content does not depend on it.
    """
    claim(folder, settings)
    done: list[ShardDone] = []
    items = (_travelling(record) for record in records)
    chunks = enumerate(iter(lambda: list(islice(items, settings.molecules_per_shard)), []))
    with process_pool(n_processes) as pool:
        running: set[Future[ShardDone]] = set()
        exhausted = False
        while running or not exhausted:
            while not exhausted and len(running) < 2 * n_processes:
                chunk = next(chunks, None)
                exhausted = chunk is None
                if chunk is not None:
                    running.add(pool.submit(_prepare_shard, *chunk, folder, settings))
            finished, running = wait(running, return_when=FIRST_COMPLETED) if running else (set(), running)
            for future in finished:
                done.append(future.result())
                yield done[-1]
    done.sort()
    written = [folder / shard_name(shard.position) for shard in done if shard.n_molecules]
    write_manifest(folder, settings, written, [failed for shard in done for failed in shard.failed])


def shard_name(index: int) -> str:
    """File name of a shard."""
    return f"shard-{index:05d}.safetensors"


def _travelling(record: Record) -> _Item:
    smiles = None if record.mol is None else Chem.MolToSmiles(Chem.RemoveAllHs(record.mol))
    return _Item(record.index, record.name, record.source, smiles, record.error)


def _prepare_shard(index: int, items: list[_Item], folder: Path, settings: PreparationSettings) -> ShardDone:
    rdBase.DisableLog("rdApp.*")
    path = folder / shard_name(index)
    if path.exists():
        texts = read_texts(path)
        return ShardDone(index, len(texts["names"]), [Failed(**entry) for entry in texts["failed"]])
    kept: list[_Prepared] = []
    failed: list[Failed] = []
    for item in items:
        try:
            kept.append(_prepare_molecule(item, settings))
        except MoleculeError as error:
            failed.append(Failed(item.name, item.source, str(error)))
    sampled = _sample(kept, settings, index) if kept else []
    for item, reference in zip((m.item for m in kept), sampled, strict=True):
        if not is_finite(reference):
            failed.append(Failed(item.name, item.source, "a chain fell into a singularity of the reference energy"))
    sound = [reference for reference in sampled if is_finite(reference)]
    if sound:
        write_shard(path, sound, [entry._asdict() for entry in failed])
    return ShardDone(index, len(sound), failed)


def _prepare_molecule(item: _Item, settings: PreparationSettings) -> _Prepared:
    if item.smiles is None:
        raise MoleculeError(item.error or "unreadable")
    mol = Chem.AddHs(Chem.MolFromSmiles(item.smiles))
    check_molecule(mol)
    if mol.GetNumAtoms() > settings.max_atoms:
        raise MoleculeError(f"has {mol.GetNumAtoms()} atoms, over the limit of {settings.max_atoms}; raise --max-atoms")
    topology = topology_from_mol(mol)
    parameters = mmff_parameters(mol, topology, settings.variant).to(dtype=torch.float32)
    embedding = rdDistGeom.ETKDGv3()
    embedding.randomSeed = settings.seed + item.position
    embedding.timeout = 60
    found = rdDistGeom.EmbedMultipleConfs(mol, settings.ensemble.n_chains, embedding)
    if len(found) < settings.ensemble.n_chains:
        raise EmbeddingError(f"only {len(found)} of {settings.ensemble.n_chains} embeddings succeeded in 60 s")
    return _Prepared(item, mol, topology, parameters)


def _sample(molecules: list[_Prepared], settings: PreparationSettings, index: int) -> list[Reference]:
    topology = concatenate([m.topology for m in molecules])
    parameters = concatenate_parameters([m.parameters for m in molecules])
    starts = torch.cat([positions_from_mol(m.mol) for m in molecules], dim=1)
    generator = torch.Generator().manual_seed(settings.seed * 1_000_003 + index)
    energy_fn = MechanicalEnergy(topology, parameters)
    ensemble = reference_ensemble(energy_fn, topology, starts, settings.ensemble, generator)
    widths = [m.topology.n_atoms for m in molecules]
    samples = zip(
        ensemble.positions.split(widths, dim=1),
        ensemble.energies,
        ensemble.forces.split(widths, dim=1),
        ensemble.minima.split(widths, dim=1),
        ensemble.minima_energies,
        starts.split(widths, dim=1),
        strict=True,
    )
    return [
        Reference(
            name=m.item.name,
            smiles=str(m.item.smiles),
            split=scaffold_split(m.mol),
            topology=m.topology,
            positions=positions,
            temperatures=ensemble.temperatures,
            energies=energies,
            forces=forces,
            minima=minima,
            minima_energies=minima_energies,
            starts=embedded,
        )
        for m, (positions, energies, forces, minima, minima_energies, embedded) in zip(molecules, samples, strict=True)
    ]
