"""Records in, energies of a model of the family out, in their order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

import torch
from torch import Tensor

from molebm.chem.cleaning import check_molecule, with_hydrogens
from molebm.chem.featurising import featuriser
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.chem.reading import Record
from molebm.errors import CheckpointError, MoleculeError
from molebm.family.checkpoint import TrainedEnergy
from molebm.family.conformers import Conformers
from molebm.family.features import FEATURES, as_read
from molebm.plausibility.surprise import conformal_p_value
from molebm.topology import concatenate

OK: Final = "ok"
BATCH: Final = 256  # records read before the first is told of
ROOM: Final = 300.0  # K, that a conformer is taken to come from


@dataclass(frozen=True, slots=True)
class RecordEnergy:
    """What a model says of one record."""

    record: int  # counts from 0
    name: str
    source: str
    status: str  # ok, or why there is no energy and what to do
    energy: float | None = None  # in kT of the model's own distribution
    p_value: float | None = None  # chance that a molecule like those it learned from is as high
    probabilities: tuple[float, ...] = ()  # of the classes of a classifier


def classes_of(trained: TrainedEnergy) -> list[str]:
    """What a classifier tells apart; empty for models that are none."""
    return list(trained.metadata.get("classes", []))


def energies(records: Iterable[Record], trained: TrainedEnergy, device: str = "cpu") -> Iterator[RecordEnergy]:
    """Stream one energy for each record; one that has none says why in its `status`.

    Raises
    ------
    CheckpointError
        If the model does not say what its input is made of.
    """
    reader = _conformer if trained.model.reads == "conformers" else _featurise(trained)
    model = trained.model.to(device)
    remaining = iter(records)
    while window := list(islice(remaining, BATCH)):
        read: dict[int, Any] = {}
        failed: dict[int, str] = {}
        for place, record in enumerate(window):
            try:
                read[place] = reader(record)
            except MoleculeError as error:
                failed[place] = str(error)
        found = dict(zip(read, _evaluate(trained, model, list(read.values()), device), strict=True)) if read else {}
        for place, record in enumerate(window):
            if place in failed:
                yield RecordEnergy(record.index, record.name, record.source, failed[place])
            else:
                yield RecordEnergy(record.index, record.name, record.source, OK, *found[place])


def _evaluate(
    trained: TrainedEnergy, model: Any, inputs: Sequence[Any], device: str
) -> list[tuple[float, float | None, tuple[float, ...]]]:
    with torch.no_grad():
        if trained.model.reads == "conformers":
            x: Any = _joined(inputs, device)
        else:
            x = torch.stack([as_read(value) for value in inputs]).to(device)
        values = model.energy(x).flatten().double().cpu()
        found = model.probabilities(x)
    shares = [()] * len(inputs) if found is None else [tuple(row) for row in found.tolist()]
    calibration = trained.metadata.get("calibration") or []
    p_values = conformal_p_value(values.numpy(), calibration).tolist() if calibration else [None] * len(inputs)
    return [
        (energy, p_value if math.isfinite(energy) else 1 / (1 + len(calibration)), share)
        for energy, p_value, share in zip(values.tolist(), p_values, shares, strict=True)
    ]


def _featurise(trained: TrainedEnergy) -> Any:
    if FEATURES not in trained.metadata:
        raise CheckpointError("the model does not say what features it reads; train it on what `featurise` writes")
    made = trained.metadata[FEATURES]
    make = featuriser(made["name"], made["settings"])
    return lambda record: make(_mol(record))["x"]


def _conformer(record: Record) -> Conformers:
    mol = _mol(record)
    check_molecule(mol)
    if mol.GetNumConformers() != 1 or not mol.GetConformer().Is3D():
        raise MoleculeError("there is no structure in three dimensions; make one with `molebm generate`")
    whole = with_hydrogens(mol)
    return Conformers(topology_from_mol(whole), positions_from_mol(whole), torch.tensor([ROOM]))


def _joined(inputs: Sequence[Conformers], device: str) -> Conformers:
    topology = concatenate([one.topology for one in inputs]).to(device)
    positions: Tensor = torch.cat([one.positions for one in inputs], dim=1)
    return Conformers(topology, positions.to(device), inputs[0].temperatures.to(device))


def _mol(record: Record) -> Any:
    if record.mol is None:
        raise MoleculeError(record.error or "the record cannot be read; write it again")
    return record.mol
