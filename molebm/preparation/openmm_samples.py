"""From `openmm.System`s to shards of samples, whatever their force field: one shard for each molecule."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import openmm

from molebm.errors import MoleculeError, RequestError
from molebm.preparation.exchange_runs import ExchangeSettings, Job, RunDone, attempt, jobs, reference_of
from molebm.preparation.folders import Failed, claim, write_manifest
from molebm.preparation.openmm_input import OpenMMMolecule, check_system
from molebm.processes import process_pool
from molebm.training.shards import write_shard


class RunsDone(NamedTuple):
    """Some runs of a molecule are settled: finished now or before, or in vain."""

    name: str
    n_runs: int
    acceptance: list[float] | None  # of swaps between neighbouring temperatures, of a run that finished now
    failed: Failed | None  # told with the last run


def prepare_openmm(
    molecules: Sequence[OpenMMMolecule], folder: Path, settings: ExchangeSettings, n_processes: int
) -> Iterator[RunsDone]:
    """Sample each molecule in its OpenMM system, write one shard for each and, at the end, the manifest.

    The samples at each temperature are distributed as :math:`e^{-E/kT}`. Energies and forces are stored
    beside them to check against; training on samples does not look at them. There are no minima, and the
    starts are those of the runs. A shard that is already there is kept, as are the
    runs of a molecule that is not complete, so what was cut off goes on with the run that it was at, and
    molecules can be added later: the samples of one do not depend on the others.

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
    claim(folder, settings)
    failed: list[Failed] = []
    for done in _sampled(molecules, folder, settings, n_processes):
        failed += [done.failed] if done.failed else []
        yield done
    shards = sorted(folder.glob("*.safetensors"))
    write_manifest(folder, settings, shards, failed, {"openmm": openmm.__version__})


def _sampled(
    molecules: Sequence[OpenMMMolecule], folder: Path, settings: ExchangeSettings, n_processes: int
) -> Iterator[RunsDone]:
    """Do the runs of one molecule after the other, and write each molecule after the last of its runs."""
    waiting: list[OpenMMMolecule] = []
    asked: list[Job] = []
    for molecule in molecules:
        if _shard(folder, molecule.name).exists():
            yield RunsDone(molecule.name, settings.n_runs, None, None)
            continue
        try:
            asked += jobs(molecule, settings, folder)
        except MoleculeError as error:
            yield RunsDone(molecule.name, settings.n_runs, None, Failed(molecule.name, "", str(error)))
        else:
            waiting.append(molecule)
    results = _in_order(asked, n_processes)
    for molecule in waiting:
        runs: list[Path] = []
        failed = None
        for n, result in enumerate(islice(results, settings.n_runs), start=1):
            acceptance = None
            if isinstance(result, MoleculeError):
                failed = Failed(molecule.name, "", str(result))
            else:
                runs.append(result.path)
                acceptance = result.acceptance
            if len(runs) == settings.n_runs:
                failed = _write(molecule, runs, folder, settings)
            yield RunsDone(molecule.name, 1, acceptance, failed if n == settings.n_runs else None)


def _in_order(asked: list[Job], n_processes: int) -> Iterator[RunDone | MoleculeError]:
    """Do the jobs one after the other in each process, since OpenMM's Reference platform has one stream of
    random numbers for the whole of a process.
    """
    if n_processes == 1:
        yield from map(attempt, asked)
        return
    with process_pool(n_processes) as pool:
        try:
            yield from pool.map(attempt, asked)
        finally:
            pool.shutdown(cancel_futures=True)


def _write(molecule: OpenMMMolecule, runs: list[Path], folder: Path, settings: ExchangeSettings) -> Failed | None:
    """Put the runs of a molecule into its shard, and remove them."""
    try:
        write_shard(_shard(folder, molecule.name), [reference_of(molecule, runs, settings)])
    except MoleculeError as error:
        return Failed(molecule.name, "", str(error))
    for path in runs:
        path.unlink()
    return None


def _shard(folder: Path, name: str) -> Path:
    return folder / f"{name}.safetensors"
