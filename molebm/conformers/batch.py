"""One batch of molecules from records to ensembles; what fails is set aside and the rest goes on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem, rdBase

from molebm.chem.cleaning import prepare_molecule
from molebm.chem.reading import Record
from molebm.conformers.isomer_choice import every_isomer, sampled_isomer
from molebm.conformers.molecule_search import Found, Result, Start, conformers_of, start_of
from molebm.conformers.outcomes import Outcome, Outcomes, ensemble, failure, isomer_name
from molebm.conformers.settings import GenerationSettings
from molebm.conformers.vibrations import vibrational_free_energies
from molebm.errors import MoleculeError, TimeLimitError
from molebm.forcefield.mechanics import Backend, MechanicalEnergy
from molebm.parametrise import Parametrise


def generate_batch(
    records: Sequence[Record], backend: Backend, settings: GenerationSettings, parametrise: Parametrise
) -> list[Outcomes]:
    """Give each record its conformers, or the reason why it has none, in order.

    On a CPU a record's result depends on itself, its index and the settings alone.
    """
    isomers: dict[int, list[Chem.Mol]] = {}  # by the place of their record
    results: dict[int, Outcomes] = {}
    seeds = [derived_seed(settings.seed, record.index) for record in records]
    for place, record in enumerate(records):
        try:
            mol = _molecule(record)
            isomers[place] = (
                every_isomer(mol, settings)
                if settings.stereo == "enumerate"
                else [sampled_isomer(mol, seeds[place], backend, settings, parametrise)]
            )
        except (MoleculeError, TimeLimitError) as error:
            results[place] = [failure(record.name, record.source, error)]
    asked = [(mol, seeds[place]) for place, of_record in isomers.items() for mol in of_record]
    found = iter(_searched(asked, backend, settings, parametrise))
    for place, of_record in isomers.items():
        results[place] = _outcomes(records[place], of_record, [next(found) for _ in of_record], settings)
    return [results[place] for place in range(len(records))]


def _molecule(record: Record) -> Chem.Mol:
    """Check the molecule of a record and add its hydrogens.

    Raises
    ------
    MoleculeError
        If the record holds none, or one that cannot be worked on.
    """
    if record.mol is None:
        raise MoleculeError(record.error or "the record holds no molecule; correct it")
    with rdBase.BlockLogs():
        return prepare_molecule(record.mol)


def _searched(
    asked: Sequence[tuple[Chem.Mol, int]], backend: Backend, settings: GenerationSettings, parametrise: Parametrise
) -> list[Result]:
    """Search isomers, each with its seed, on a GPU together and on a CPU one by one."""
    starts: dict[int, Start] = {}
    results: dict[int, Result] = {}
    for place, (mol, seed) in enumerate(asked):
        try:
            starts[place] = start_of(mol, seed, settings, parametrise)
        except MoleculeError as error:
            results[place] = error
    groups = [[place] for place in starts] if settings.device.startswith("cpu") else [list(starts)]
    for group in groups:
        found = conformers_of([starts[place] for place in group], backend, settings)
        results |= dict(zip(group, found, strict=True))
    return [results[place] for place in range(len(asked))]


def _outcomes(
    record: Record, isomers: Sequence[Chem.Mol], results: Sequence[Result], settings: GenerationSettings
) -> Outcomes:
    """Say what became of each isomer of a record."""
    outcomes: Outcomes = []
    for n, result in enumerate(results, 1):
        several = len(isomers) > 1
        name = isomer_name(record.name, n, len(results))
        smiles = Chem.MolToSmiles(Chem.RemoveHs(isomers[n - 1])) if several else None
        outcomes.append(_outcome(record, name, smiles, result, settings))
    return outcomes


def _outcome(
    record: Record, name: str, stereoisomer: str | None, result: Result, settings: GenerationSettings
) -> Outcome:
    if not isinstance(result, Found):
        return failure(name, record.source, result)
    free = _free_energies(result, settings) if settings.vibrations else result.energies
    return ensemble(
        name,
        record.source,
        result.start.mol,
        result.positions,
        result.energies,
        free,
        settings.temperature,
        stereoisomer,
        record.index,
    )


def _free_energies(found: Found, settings: GenerationSettings) -> NDArray[np.float64]:
    """Add the free energy of vibration, (C,) kcal/mol."""
    start = found.start
    energy = MechanicalEnergy(start.topology, start.parameters.to(dtype=torch.float64), "torch")
    positions = torch.from_numpy(found.positions).permute(2, 1, 0).contiguous().to(start.topology.device)
    vibrations = vibrational_free_energies(energy, start.topology, positions, settings.temperature)
    return found.energies + vibrations[0].double().cpu().numpy()


def derived_seed(seed: int, *place: int) -> int:
    """Mix a seed with where it is used into 32 bits that have nothing in common with those of other places."""
    return int(np.random.SeedSequence((seed, *place)).generate_state(1)[0])
