"""Conformers of whatever is given: the public calls."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import torch
from rdkit import Chem

from molebm.chem.parsing import mol_from_smiles
from molebm.chem.reading import Record, read_molecules
from molebm.conformers.backends import devices_of
from molebm.conformers.batching import Unit, units
from molebm.conformers.computing import Finish, Job, parametrise
from molebm.conformers.input_order import Finished
from molebm.conformers.outcomes import Ensemble, Failure
from molebm.conformers.settings import Choose, Compile, Environment, GenerationSettings, Start, Stereo
from molebm.conformers.sharding import WHOLE, Shard
from molebm.conformers.workers import in_processes, in_this_process
from molebm.errors import MoleculeError, RequestError

Molecule: TypeAlias = str | Chem.Mol
"""A SMILES, or an RDKit molecule with or without hydrogens; its coordinates are not used."""

_DEFAULT: Final = GenerationSettings()
GPU_PROCESSES: Final = 2  # of each GPU: one keeps it busy while the other prepares molecules and chooses conformers
_SHORT: Final = 8  # units that are not worth the seconds it takes to start another process


def generate(
    source: Molecule | Path | Iterable[Molecule],
    *,
    n_conformers: int = _DEFAULT.n_conformers,
    energy_window: float = _DEFAULT.energy_window,
    rmsd: float = _DEFAULT.rmsd,
    temperature: float = _DEFAULT.temperature,
    seed: int = _DEFAULT.seed,
    energy: str = _DEFAULT.energy,
    model: str | Path | None = None,
    device: str = "auto",
    compile: Compile = _DEFAULT.compile,
    time_limit: float = _DEFAULT.time_limit,
    start: Start = _DEFAULT.start,
    start_model: str | Path | None = None,
    stereo: Stereo = _DEFAULT.stereo,
    choose: Choose = _DEFAULT.choose,
    environment: Environment = _DEFAULT.environment,
    vibrations: bool = _DEFAULT.vibrations,
    threads: int = 1,
) -> list[Chem.Mol]:
    """Return RDKit molecules with their conformers by rising energy, in the order of the input.

    Hydrogens are explicit, and every conformer carries energy_kcal_mol, relative_energy_kcal_mol and
    boltzmann_weight as properties. A molecule that has no conformers is left out and told in a warning;
    `generate_ensembles` streams both kinds of outcome.

    Parameters
    ----------
    source
        A file (see `read_molecules`), a SMILES, a molecule, or several SMILES and molecules.
    n_conformers
        At most, of each molecule.
    energy_window
        kcal/mol above the lowest conformer.
    rmsd
        Å over the heavy atoms, equivalent atoms exchanged; nearer conformers count as one.
    temperature
        K, of the Boltzmann weights.
    energy
        learned, mmff94 or mmff94s.
    model
        Checkpoint of the learned energy, if not the shipped one.
    device
        auto, cpu or cuda; auto takes a GPU if there is one.
    compile
        auto, on or off: whether PyTorch may compile the kernel where its form in C cannot serve.
    time_limit
        s for each molecule.
    start
        random, etkdg or diffusion: where the search starts.
    start_model
        Checkpoint of the model that makes starts from noise, if not the shipped one.
    stereo
        sample or enumerate: one isomer of what a molecule leaves open, or a molecule in the list for each.
    choose
        lowest or diverse: by energy alone, or far from one another.
    environment
        vacuum or bound: bound damps what folds a molecule onto itself.
    vibrations
        Whether the Boltzmann weights count the free energy of vibration in each minimum.
    threads
        Processes of one thread each; with more than one, a script must guard its start by
        ``if __name__ == "__main__":``.

    Raises
    ------
    MoleculeError
        If no molecule has any, with the reason of the first and what to do.
    RequestError, CheckpointError
        As `generate_ensembles`.
    """
    settings = GenerationSettings(
        n_conformers=n_conformers,
        energy_window=energy_window,
        rmsd=rmsd,
        temperature=temperature,
        seed=seed,
        energy=energy,
        model=model,
        device=device,
        compile=compile,
        time_limit=time_limit,
        start=start,
        start_model=start_model,
        stereo=stereo,
        choose=choose,
        environment=environment,
        vibrations=vibrations,
    )
    outcomes = list(generate_ensembles(source, settings, threads=threads))
    failed = [outcome for outcome in outcomes if isinstance(outcome, Failure)]
    reasons = [f"{one.name} ({one.input}): {one.reason}; {one.cure}" for one in failed]
    if failed and len(failed) == len(outcomes):
        raise MoleculeError(reasons[0])
    for reason in reasons:
        warnings.warn(reason, stacklevel=2)
    return [outcome.mol for outcome in outcomes if isinstance(outcome, Ensemble)]


def generate_ensembles(
    source: Molecule | Path | Iterable[Molecule],
    settings: GenerationSettings = _DEFAULT,
    *,
    threads: int = 1,
    shard: Shard = WHOLE,
) -> Iterator[Ensemble | Failure]:
    """Stream the conformers of each molecule in the order of the input, or the reason why it has none.

    On a CPU the result of a molecule depends on itself, its place in the input, and the settings alone: it
    repeats bit for bit, with any number of threads and in any shard. Where stereoisomers are
    enumerated, those of a molecule follow one another.

    Parameters
    ----------
    shard
        The part of the input to do: ``Shard(3, 10)`` is every tenth molecule from the third.

    Raises
    ------
    RequestError
        At once, if the source cannot be read or an argument is out of its range.
    CheckpointError
        At once, if the model is missing or damaged.
    """
    finished = generate_records(source, settings, threads=threads, shard=shard)
    return itertools.chain.from_iterable(record.result for record in finished)


def generate_records(
    source: Molecule | Path | Iterable[Molecule],
    settings: GenerationSettings = _DEFAULT,
    *,
    threads: int = 1,
    shard: Shard = WHOLE,
    first: int = 0,
    finish: Finish = list[Ensemble | Failure],
    shielded: bool = False,
) -> Generator[Finished, None, None]:
    """Stream what becomes of each record, in order, so that a run can be gone on with.

    Parameters
    ----------
    first
        Index, in the whole input, of the record to begin with; those before it are not even parsed.
    finish
        Turns the outcomes of a record into its `result`, in the process that computed them.
    shielded
        Compute in another process even with one thread, should the input be long: what is killed there is
        one molecule, and not the run.

    Raises
    ------
    RequestError, CheckpointError
        As `generate_ensembles`.
    """
    if threads < 1:
        raise RequestError(f"the number of threads is {threads}; it must be at least 1")
    settings = replace(settings, device=_available(settings.device))
    parametrise(settings.energy, settings.model)  # a wrong name or a broken model is told before any work

    def wanted(index: int) -> bool:
        return index >= first and shard.holds(index)

    if isinstance(source, str | Path):
        given = read_molecules(source, wanted=wanted, models="together")
    else:
        given = _records(source, wanted)
    alone_up_to = 1 if threads > 1 else _SHORT if shielded else None
    return _generate(units(given, settings), Job(settings, finish), threads, alone_up_to)


def _generate(work: Iterator[Unit], job: Job, threads: int, alone_up_to: int | None) -> Generator[Finished, None, None]:
    """Start processes, which takes seconds, only for more units than are done alone; None is never."""
    if alone_up_to is None:
        yield from in_this_process(work, job)
        return
    if not job.settings.device.startswith("cpu"):
        n_devices = len(devices_of(job.settings.device))
        threads = max(n_devices, min(threads, GPU_PROCESSES * n_devices))
    few = list(itertools.islice(work, max(alone_up_to + 1, threads)))
    if len(few) <= alone_up_to:
        yield from in_this_process(few, job)
    else:
        yield from in_processes(itertools.chain(few, work), job, min(threads, len(few)))


def _records(source: Chem.Mol | Iterable[Molecule], wanted: Callable[[int], bool]) -> Iterator[Record]:
    molecules = [source] if isinstance(source, Chem.Mol) else source
    return (_record(index, molecule) for index, molecule in enumerate(molecules) if wanted(index))


def _record(index: int, molecule: Molecule) -> Record:
    """Do for one molecule what `read_molecules` does for those of a file."""
    name, text = f"mol-{index + 1}", str(molecule)
    try:
        if isinstance(molecule, str):
            return Record(index, name, text, mol_from_smiles(molecule), None)
        mol = Chem.Mol(molecule)
        if mol.HasProp("_Name"):
            name = mol.GetProp("_Name") or name
        Chem.SanitizeMol(mol)
        return Record(index, name, Chem.MolToSmiles(mol), mol, None)
    except (ValueError, TypeError) as error:  # MoleculeError, and what RDKit says of what is no sound molecule
        return Record(index, name, text, None, str(error))


def _available(device: str) -> str:
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise RequestError("PyTorch sees no CUDA device; use the device cpu")
    return device
