"""Calibrations from structures that are trusted."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem

from molebm.errors import MoleculeError, RequestError, TimeLimitError
from molebm.parametrise import NamedEnergy
from molebm.plausibility.batches import assemble, batches, runs_of_poses
from molebm.plausibility.calibration import Calibration
from molebm.plausibility.joint_energy import learn_joint_energy
from molebm.plausibility.measurement import Measurement, measure
from molebm.plausibility.numbers import LENGTHS, numbers_of, profiles_of, statistics_of
from molebm.plausibility.parts import parts_of
from molebm.plausibility.perturbations import perturbations
from molebm.plausibility.statistics import Norms, learn_norms, standardised
from molebm.plausibility.structures import Structure, admit
from molebm.plausibility.yardstick import Source

Numbers = NDArray[np.float64]
Moves = NDArray[np.int64]

FEWEST: Final = 20  # trusted structures: with fewer no p-value is as small as 0.05
FOLDS: Final = 5  # what is usual is learned from the others, when trusted structures are scored
ENOUGH_TO_LEARN: Final = 200  # trusted structures, for an energy of their own
N_PERTURBED: Final = 4  # structures made of each with every kind of move, that are wrong
WINDOW: Final = 128  # structures measured side by side


class Fold(NamedTuple):
    """Some of the trusted structures and what was made of them, measured."""

    trusted: list[Measurement]
    perturbed: list[Measurement]
    moves: Moves  # (n,) what was done to each of the perturbed


def measure_structures(mols: Iterable[Chem.Mol], energy: NamedEnergy, device: str = "cpu") -> Iterator[Measurement]:
    """Measure structures, each by itself, and leave out those that cannot be scored."""
    for _, measurement in _placed(mols, energy, device):
        yield measurement


def _placed(mols: Iterable[Chem.Mol], energy: NamedEnergy, device: str) -> Iterator[tuple[list[int], Measurement]]:
    """Measure structures, and tell the places of those in each measurement among all, counted from 0."""
    admitted = _admitted(mols)
    while window := list(islice(admitted, WINDOW)):
        yield from _measure(window, energy, device)


def calibrate(
    mols: Iterable[Chem.Mol],
    energy: NamedEnergy,
    base: Calibration,
    *,
    source: str,
    provenance: str,
    seed: int = 0,
    device: str = "cpu",
    n_perturbed: int = N_PERTURBED,
) -> Calibration:
    """Add a source of trusted structures to a calibration, or replace it; all else stays.

    From `ENOUGH_TO_LEARN` of them an energy of their terms together is learned; fewer are judged by that of the first
    source.

    Raises
    ------
    RequestError
        If fewer than `FEWEST` structures can be scored, or the calibration is of another energy.
    """
    if energy.name != base.energy:
        raise RequestError(f"the calibration is of the energy {base.energy!r}, not {energy.name!r}; choose that one")
    admitted = _enough(mols)
    if len(admitted) >= ENOUGH_TO_LEARN:
        folds = _measured_folds(admitted, energy, seed, device, n_perturbed)
        found = _learned_source(folds, [base.norms] * FOLDS, provenance, seed)
    else:
        measured = list(measure_structures([one.mol for one in admitted], energy, device))
        _check_enough(sum(one.energy.numel() for one in measured))  # some have no parameters, or take too long
        joint = next(iter(base.sources.values())).joint
        numbers = [numbers_of(one, standardised(one, base.norms), joint) for one in measured]
        found = Source(provenance, _concatenated(numbers), _heavy_atoms(measured), joint)
    return replace(base, sources={**base.sources, source: found})


def learn_calibration(
    mols: Iterable[Chem.Mol],
    energy: NamedEnergy,
    *,
    source: str,
    provenance: str,
    seed: int = 0,
    device: str = "cpu",
    n_perturbed: int = N_PERTURBED,
) -> Calibration:
    """Learn from trusted structures what is usual in each environment and altogether, and what they score.

    Each fold of the structures is scored by what is usual in the others and by an energy that was learned from the
    others, as new structures will be. Each structure is moved `n_perturbed` times in every way, to be wrong, for that
    energy to be high.

    Raises
    ------
    RequestError
        If fewer than `FEWEST` structures can be scored.

    References
    ----------
    Vovk, Ann. Math. Artif. Intell. 74, 9 (2015), for calibration across folds.
    """
    folds = _measured_folds(_enough(mols), energy, seed, device, n_perturbed)
    others = [
        learn_norms([one for n, fold in enumerate(folds) if n != k for one in fold.trusted]) for k in range(FOLDS)
    ]
    found = _learned_source(folds, others, provenance, seed)
    norms = learn_norms([one for fold in folds for one in fold.trusted])
    return Calibration(energy.name, norms, {source: found})


def _measured_folds(
    admitted: Sequence[Structure], energy: NamedEnergy, seed: int, device: str, n_perturbed: int
) -> list[Fold]:
    generator = np.random.default_rng(seed)
    place = generator.permutation(len(admitted)) % FOLDS
    folds = []
    for k in range(FOLDS):
        mols = [one.mol for one, fold in zip(admitted, place, strict=True) if fold == k]
        moves: list[int] = []
        places, wrong = [], []
        for chosen, measurement in _placed(_perturbed(mols, n_perturbed, generator, moves), energy, device):
            places += chosen
            wrong.append(measurement)
        of_place = np.array(moves, dtype=np.int64)[places]
        folds.append(Fold(list(measure_structures(mols, energy, device)), wrong, of_place))
    _check_enough(sum(one.energy.numel() for fold in folds for one in fold.trusted))
    return folds


def _learned_source(folds: Sequence[Fold], norms: Sequence[Norms], provenance: str, seed: int) -> Source:
    """Learn a joint energy across folds, and score each by what was learned from the others."""
    summed = [_summed(fold.trusted, usual) for fold, usual in zip(folds, norms, strict=True)]
    trusted = [profiles for _, profiles in summed]
    wrong = [_summed(fold.perturbed, usual)[1] for fold, usual in zip(folds, norms, strict=True)]
    moves = [fold.moves for fold in folds]
    joint = {
        name: learn_joint_energy([each[:, :n] for each in trusted], [each[:, :n] for each in wrong], moves, seed=seed)
        for name, n in LENGTHS.items()
    }
    found = []
    for k, (numbers, profiles) in enumerate(summed):
        of_fold = {name: learned.of_member(k, profiles[:, : LENGTHS[name]]) for name, learned in joint.items()}
        found.append(numbers | of_fold)
    measured = [one for fold in folds for one in fold.trusted]
    return Source(provenance, _concatenated(found), _heavy_atoms(measured), joint)


def _summed(measured: Sequence[Measurement], norms: Norms) -> tuple[dict[str, Numbers], Numbers]:
    """Return the statistics of measurements but for the joint energies, (n,) each, and their profiles, (n, P)."""
    terms = [standardised(one, norms) for one in measured]
    numbers = _concatenated([statistics_of(*each) for each in zip(measured, terms, strict=True)])
    return numbers, np.concatenate([profiles_of(*each) for each in zip(measured, terms, strict=True)])


def _enough(mols: Iterable[Chem.Mol]) -> list[Structure]:
    admitted = [structure for _, structure in _admitted(mols)]
    _check_enough(len(admitted))
    return admitted


def _check_enough(n: int) -> None:
    if n < FEWEST:
        raise RequestError(f"{n} structures can be scored; a calibration needs at least {FEWEST}")


def _admitted(mols: Iterable[Chem.Mol]) -> Iterator[tuple[int, Structure]]:
    for place, mol in enumerate(mols):
        try:
            yield place, admit(mol)
        except MoleculeError:
            continue


def _perturbed(
    mols: Sequence[Chem.Mol], number: int, generator: np.random.Generator, moves: list[int]
) -> Iterator[Chem.Mol]:
    """Give the structures that moves make of others, and note which move each is of."""
    for mol in mols:
        for move, positions in perturbations(mol.GetConformer().GetPositions(), parts_of(mol), number, generator):
            copy = Chem.Mol(mol)
            copy.GetConformer().SetPositions(np.ascontiguousarray(positions))
            moves.append(move)
            yield copy


def _measure(
    admitted: Sequence[tuple[int, Structure]], energy: NamedEnergy, device: str
) -> Iterator[tuple[list[int], Measurement]]:
    for molecules in batches(runs_of_poses(admitted)):
        batch, _ = assemble(molecules, energy.parametrise, torch.device(device))
        if batch is None:
            continue
        try:
            measurement = measure(batch, with_strain=True)
        except TimeLimitError:
            continue
        yield [place for poses in batch.molecules for place in poses.places], measurement


def _heavy_atoms(measured: Sequence[Measurement]) -> Numbers:
    return np.concatenate([np.repeat(one.heavy_atoms.numpy(), one.energy.shape[1]) for one in measured])


def _concatenated(parts: Sequence[Mapping[str, Numbers]]) -> dict[str, Numbers]:
    return {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
