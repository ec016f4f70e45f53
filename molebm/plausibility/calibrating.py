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
from molebm.plausibility.perturbations import parts_of, perturbed
from molebm.plausibility.profile import PROFILE, WITHOUT_STRAIN, profile
from molebm.plausibility.statistics import (
    JOINT,
    JOINT_WITHOUT_STRAIN,
    Norms,
    learn_norms,
    standardised,
    statistics,
)
from molebm.plausibility.structures import Structure, admit
from molebm.plausibility.yardstick import Source

Numbers = NDArray[np.float64]

FEWEST: Final = 20  # trusted structures: with fewer no p-value is as small as 0.05
FOLDS: Final = 5  # what is usual is learned from the others, when trusted structures are scored
N_PERTURBED: Final = 32  # structures made of each, that are wrong
WINDOW: Final = 128  # structures measured side by side


class Fold(NamedTuple):
    """Some of the trusted structures and what was made of them, measured."""

    trusted: list[Measurement]
    perturbed: list[Measurement]


def measure_structures(mols: Iterable[Chem.Mol], energy: NamedEnergy, device: str = "cpu") -> Iterator[Measurement]:
    """Measure structures, each by itself, and leave out those that cannot be scored."""
    admitted = _admitted(mols)
    while window := list(islice(admitted, WINDOW)):
        yield from _measure(window, energy, device)


def trusted_source(measured: Sequence[Measurement], calibration: Calibration, provenance: str) -> Source:
    """Sum up trusted structures by what is usual.

    Raises
    ------
    RequestError
        If there are none.
    """
    if not measured:
        raise RequestError("no structure can be scored; a calibration needs structures in three dimensions")
    found = [calibration.numbers(one, standardised(one, calibration.norms)) for one in measured]
    return Source(provenance, _concatenated(found), _heavy_atoms(measured))


def calibrate(
    mols: Iterable[Chem.Mol],
    energy: NamedEnergy,
    base: Calibration,
    *,
    source: str,
    provenance: str,
    device: str = "cpu",
) -> Calibration:
    """Add a source of trusted structures to a calibration, or replace it; all else stays.

    Raises
    ------
    RequestError
        If fewer than `FEWEST` structures can be scored, or the calibration is of another energy.
    """
    if energy.name != base.energy:
        raise RequestError(f"the calibration is of the energy {base.energy!r}, not {energy.name!r}; choose that one")
    found = trusted_source(list(measure_structures(mols, energy, device)), base, provenance)
    if found.n < FEWEST:
        raise RequestError(f"{found.n} structures can be scored; a calibration needs at least {FEWEST}")
    return replace(base, sources={**base.sources, source: found})


def learn_calibration(
    mols: Sequence[Chem.Mol],
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
    others, as new structures will be. Of each structure `n_perturbed` wrong ones are made for that energy to be high.

    Raises
    ------
    RequestError
        If fewer than `FEWEST` structures can be scored.

    References
    ----------
    Vovk, Ann. Math. Artif. Intell. 74, 9 (2015), for calibration across folds.
    """
    generator = np.random.default_rng(seed)
    admitted = list(_admitted(mols))
    if len(admitted) < FEWEST:
        raise RequestError(f"{len(admitted)} structures can be scored; a calibration needs at least {FEWEST}")
    place = generator.permutation(len(admitted)) % FOLDS
    folds = [
        Fold(
            list(measure_structures(part, energy, device)),
            list(measure_structures(_perturbations(part, n_perturbed, generator), energy, device)),
        )
        for k in range(FOLDS)
        for part in [[one.mol for one, fold in zip(admitted, place, strict=True) if fold == k]]
    ]
    others = [
        learn_norms([one for n, fold in enumerate(folds) if n != k for one in fold.trusted]) for k in range(FOLDS)
    ]
    profiles = [_profiles(fold.trusted, norms) for fold, norms in zip(folds, others, strict=True)]
    negatives = [_profiles(fold.perturbed, norms) for fold, norms in zip(folds, others, strict=True)]
    joint = {
        statistic: learn_joint_energy(
            [each[:, :n] for each in profiles], [each[:, :n] for each in negatives], seed=seed
        )
        for statistic, n in ((JOINT, len(PROFILE)), (JOINT_WITHOUT_STRAIN, len(WITHOUT_STRAIN)))
    }
    found = [
        _concatenated([_numbers(one, norms) for one in fold.trusted])
        | {name: learned.of_member(k, profiles[k][:, : learned.n_numbers]) for name, learned in joint.items()}
        for k, (fold, norms) in enumerate(zip(folds, others, strict=True))
    ]
    everything = [one for fold in folds for one in fold.trusted]
    trusted = Source(provenance, _concatenated(found), _heavy_atoms(everything))
    return Calibration(energy.name, learn_norms(everything), joint, {source: trusted})


def _admitted(mols: Iterable[Chem.Mol]) -> Iterator[Structure]:
    for mol in mols:
        try:
            yield admit(mol)
        except MoleculeError:
            continue


def _perturbations(mols: Sequence[Chem.Mol], number: int, generator: np.random.Generator) -> Iterator[Chem.Mol]:
    for mol in mols:
        parts, x = parts_of(mol), mol.GetConformer().GetPositions()
        for _ in range(number):
            copy = Chem.Mol(mol)
            copy.GetConformer().SetPositions(np.ascontiguousarray(perturbed(x, parts, generator)))
            yield copy


def _measure(admitted: Sequence[Structure], energy: NamedEnergy, device: str) -> Iterator[Measurement]:
    for molecules in batches(runs_of_poses(enumerate(admitted))):
        batch, _ = assemble(molecules, energy.parametrise, torch.device(device))
        if batch is None:
            continue
        try:
            yield measure(batch, with_strain=True)
        except TimeLimitError:
            continue


def _numbers(measurement: Measurement, norms: Norms) -> dict[str, Numbers]:
    found = statistics(measurement, standardised(measurement, norms))
    return {name: values.numpy().ravel() for name, values in found.items()}


def _profiles(measured: Sequence[Measurement], norms: Norms) -> Numbers:
    found = [profile(one, standardised(one, norms)).flatten(0, 1).numpy() for one in measured]
    return np.concatenate(found) if found else np.empty((0, len(PROFILE)))


def _heavy_atoms(measured: Sequence[Measurement]) -> Numbers:
    return np.concatenate([np.repeat(one.heavy_atoms.numpy(), one.energy.shape[1]) for one in measured])


def _concatenated(parts: Sequence[Mapping[str, Numbers]]) -> dict[str, Numbers]:
    return {name: np.concatenate([each[name] for each in parts]) for name in parts[0]}
