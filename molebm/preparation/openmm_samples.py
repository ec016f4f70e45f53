"""From `openmm.System`s to shards of samples, whatever their force field: one shard for each molecule."""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import NamedTuple

import openmm
import rdkit
import torch

from molebm import __version__
from molebm.errors import MoleculeError, RequestError
from molebm.models.checkpoint import write_json
from molebm.preparation.exchange_runs import ExchangeSettings, OpenMMMolecule, Samples, jobs, reference_of, run
from molebm.preparation.prepare import Failed
from molebm.training.shards import MANIFEST, checksum, write_shard


class RunsDone(NamedTuple):
    """What has become of some runs of a molecule: finished, there before, or failed."""

    name: str
    n_runs: int
    acceptance: list[float] | None  # of swaps between neighbouring temperatures, of a run that finished now
    failed: Failed | None


def prepare_openmm(
    molecules: Sequence[OpenMMMolecule], folder: Path, settings: ExchangeSettings, n_processes: int
) -> Iterator[RunsDone]:
    """Sample each molecule in its OpenMM system, write one shard for each and, at the end, the manifest.

    The samples at each temperature are distributed as :math:`e^{-E/kT}`. Energies and forces are stored
    beside them to check against; training on samples does not look at them. There are no minima, and the
    starts are those of the runs. A shard that is already there is kept, so a run that was cut off goes on
    with the molecules that are missing, and molecules can be added later: a molecule's samples do not
    depend on the others.

    Raises
    ------
    RequestError
        If the folder was begun with other settings, two molecules have one name, or a system is not one of
        its molecule's atoms in their order with flexible bonds.
    """
    for molecule in molecules:
        check_system(molecule)
    names = [molecule.name for molecule in molecules]
    if len(set(names)) < len(names):
        raise RequestError("two molecules have the same name; give each its own")
    _claim(folder, settings)
    failed: list[Failed] = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(n_processes, mp_context=context, initializer=_one_thread) as pool:
        try:
            for done in _sampled(molecules, folder, settings, pool):
                failed += [done.failed] if done.failed else []
                yield done
        finally:
            pool.shutdown(cancel_futures=True)
    _write_manifest(folder, settings, failed)


def check_system(molecule: OpenMMMolecule) -> None:
    """See that a system is of its molecule's atoms in their order, as far as a system tells.

    Raises
    ------
    RequestError
        If the name cannot be that of a file, the numbers of atoms differ, a distance is constrained, or atoms
        are bonded that are not in the molecule.
    """
    name, mol, system = molecule.name, molecule.mol, molecule.system
    if Path(name).name != name:
        raise RequestError(f"{name!r} cannot name a file; choose a name without slashes")
    if mol.GetNumAtoms() != system.getNumParticles():
        raise RequestError(
            f"{name}: the molecule has {mol.GetNumAtoms()} atoms and the system {system.getNumParticles()} particles; "
            "give both all hydrogens and no solvent molecules"
        )
    if system.getNumConstraints():
        raise RequestError(
            f"{name}: the system constrains {system.getNumConstraints()} distances, and the bonds of the learned "
            "energy are flexible; create the system with constraints=None"
        )
    bonded = {frozenset((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in mol.GetBonds()}
    for force in system.getForces():
        if isinstance(force, openmm.HarmonicBondForce):
            for index in range(force.getNumBonds()):
                pair = force.getBondParameters(index)[:2]
                if frozenset(pair) not in bonded:
                    raise RequestError(
                        f"{name}: the system bonds the atoms {pair[0]} and {pair[1]} and the molecule does not; "
                        "give both the same atoms in the same order"
                    )


def _claim(folder: Path, settings: ExchangeSettings) -> None:
    """Note the settings in the folder, or see that it was begun with the same."""
    folder.mkdir(parents=True, exist_ok=True)
    note, wanted = folder / "settings.json", json.loads(json.dumps(dataclasses.asdict(settings)))
    if note.exists() and json.loads(note.read_text()) != wanted:
        raise RequestError(f"'{folder}' was begun with other settings (see {note.name}); use another folder")
    write_json(note, wanted)


def _sampled(
    molecules: Sequence[OpenMMMolecule], folder: Path, settings: ExchangeSettings, pool: ProcessPoolExecutor
) -> Iterator[RunsDone]:
    """Send off the runs of all molecules, and write each molecule when the last of its runs is back."""
    runs: dict[str, list[Future[Samples]]] = {}
    owners: dict[Future[Samples], OpenMMMolecule] = {}
    for molecule in molecules:
        if _shard(folder, molecule.name).exists():
            yield RunsDone(molecule.name, settings.n_runs, None, None)
            continue
        try:
            runs[molecule.name] = [pool.submit(run, job) for job in jobs(molecule, settings)]
        except MoleculeError as error:
            yield RunsDone(molecule.name, settings.n_runs, None, Failed(molecule.name, "", str(error)))
        else:
            owners |= dict.fromkeys(runs[molecule.name], molecule)
    unsettled = dict.fromkeys(runs, settings.n_runs)
    for future in as_completed(owners):
        molecule = owners.pop(future)
        unsettled[molecule.name] -= 1
        last = not unsettled[molecule.name]
        acceptance = None if future.exception() else future.result().acceptance
        try:
            if last:
                samples = [run.result() for run in runs.pop(molecule.name)]
                write_shard(_shard(folder, molecule.name), [reference_of(molecule, samples, settings)])
        except MoleculeError as error:
            yield RunsDone(molecule.name, 1, acceptance, Failed(molecule.name, "", str(error)))
        else:
            yield RunsDone(molecule.name, 1, acceptance, None)


def _shard(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"


def _one_thread() -> None:
    torch.set_num_threads(1)
    os.environ["OPENMM_CPU_THREADS"] = "1"


def _write_manifest(folder: Path, settings: ExchangeSettings, failed: list[Failed]) -> None:
    write_json(
        folder / MANIFEST,
        {
            "settings": dataclasses.asdict(settings),
            "versions": {
                "molebm": __version__,
                "openmm": openmm.__version__,
                "rdkit": rdkit.__version__,
                "torch": torch.__version__,
            },
            "shards": [{"file": path.name, "sha256": checksum(path)} for path in sorted(folder.glob("*.safetensors"))],
            "failed": [entry._asdict() for entry in failed],
        },
    )
