"""Conformers of whatever is given: the public calls."""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, TypeAlias

import torch
from rdkit import Chem

from molebm.chem.parsing import mol_from_smiles
from molebm.chem.reading import Record, read_molecules
from molebm.conformers.batching import Batch, batches
from molebm.conformers.outcomes import Ensemble, Failure
from molebm.conformers.settings import Compile, GenerationSettings
from molebm.conformers.workers import in_processes, in_this_process
from molebm.errors import MoleculeError, RequestError
from molebm.parametrise import named_energy

Molecule: TypeAlias = str | Chem.Mol
"""A SMILES, or an RDKit molecule with or without hydrogens; its coordinates are not used."""

_DEFAULT: Final = GenerationSettings()


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
        n_conformers, energy_window, rmsd, temperature, seed, energy, model, device, compile, time_limit
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
    source: Molecule | Path | Iterable[Molecule], settings: GenerationSettings = _DEFAULT, *, threads: int = 1
) -> Iterator[Ensemble | Failure]:
    """Stream the conformers of each molecule in the order of the input, or the reason why it has none.

    Starts are embedded by ETKDGv3, heated to 1500 K and cooled by Langevin dynamics in the energy,
    relaxed, held against the declared stereo, and thinned to distinct ones within the energy window.
    On a CPU the result repeats bit for bit, with any number of threads.

    Raises
    ------
    RequestError
        At once, if the source cannot be read or an argument is out of its range.
    CheckpointError
        At once, if the model is missing or damaged.
    """
    if threads < 1:
        raise RequestError(f"the number of threads is {threads}; it must be at least 1")
    settings = replace(settings, device=_available(settings.device))
    named_energy(settings.energy, settings.model)  # a wrong name or a broken model is told before any work
    given = read_molecules(source) if isinstance(source, str | Path) else _records(source)
    return _generate(batches(given, settings), settings, threads)


def _generate(work: Iterator[Batch], settings: GenerationSettings, threads: int) -> Iterator[Ensemble | Failure]:
    first = list(itertools.islice(work, 2))
    rest = itertools.chain(first, work)
    alone = threads == 1 or len(first) < 2  # starting processes takes longer than one batch
    done = in_this_process(rest, settings) if alone else in_processes(rest, settings, threads)
    for outcomes in done:
        yield from outcomes


def _records(source: Chem.Mol | Iterable[Molecule]) -> Iterator[Record]:
    molecules = [source] if isinstance(source, Chem.Mol) else source
    return (_record(index, molecule) for index, molecule in enumerate(molecules))


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
