"""From molecules to shards of features that models of the family learn from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.featurising import Featurise, featuriser
from molebm.chem.reading import Record
from molebm.errors import MoleculeError
from molebm.family.features import FEATURES, write_features
from molebm.preparation.folders import Failed, claim, write_manifest
from molebm.preparation.prepare import ShardDone, shard_name
from molebm.preparation.scaffolds import scaffold_split

UNLABELLED: Final = "the record has no data field '{field}', which its class is read from; add it, or leave it out"


@dataclass(frozen=True, slots=True)
class FeatureSettings:
    """What features are made and how."""

    features: str = "morgan"
    settings: Mapping[str, Any] = field(default_factory=dict)  # of these features; see `FEATURES`
    label: str | None = None  # data field with the class of each record
    molecules_per_shard: int = 2048


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    smiles: str
    split: str
    tensors: dict[str, Tensor]
    label: str | None


def featurise(records: Iterable[Record], folder: Path, settings: FeatureSettings) -> Iterator[ShardDone]:
    """Write one shard after another and, when all are there, the manifest.

    Yields as shards are finished. With a label, "y" numbers the classes in alphabetical order, and the manifest
    names them; all rows then wait in memory until the last is read.

    Raises
    ------
    RequestError
        If the folder was begun with other settings, or there are no such features.
    """
    make = featuriser(settings.features, settings.settings)
    claim(folder, settings)
    failed: list[Failed] = []
    written: list[Path] = []
    waiting: list[list[_Row]] = []
    remaining = iter(records)
    while window := list(islice(remaining, settings.molecules_per_shard)):
        rows, without = _rows(window, make, settings.label)
        failed += without
        if settings.label is None and rows:
            written.append(_write(folder, len(written), rows, None))
        elif rows:
            waiting.append(rows)
        yield ShardDone(len(written), len(rows), without)
    classes = sorted({str(row.label) for rows in waiting for row in rows})
    written += [_write(folder, index, rows, classes) for index, rows in enumerate(waiting)]
    told: dict[str, Any] = {FEATURES: {"name": settings.features, "settings": dict(settings.settings)}}
    write_manifest(folder, settings, written, failed, told=told | ({"classes": classes} if classes else {}))


def _write(folder: Path, index: int, rows: list[_Row], classes: list[str] | None) -> Path:
    tensors = [row.tensors for row in rows]
    if classes is not None:
        tensors = [{**row.tensors, "y": torch.tensor(classes.index(str(row.label)))} for row in rows]
    path = folder / shard_name(index)
    columns = {"names": "name", "smiles": "smiles", "splits": "split"}
    write_features(path, tensors, {key: [getattr(row, name) for row in rows] for key, name in columns.items()})
    return path


def _rows(records: list[Record], make: Featurise, label: str | None) -> tuple[list[_Row], list[Failed]]:
    rows: list[_Row] = []
    failed: list[Failed] = []
    for record in records:
        try:
            rows.append(_row(record, make, label))
        except MoleculeError as error:
            failed.append(Failed(record.name, record.source, str(error)))
    return rows, failed


def _row(record: Record, make: Featurise, label: str | None) -> _Row:
    mol = record.mol
    if mol is None:
        raise MoleculeError(record.error or "the record cannot be read; write it again")
    if label is not None and not mol.HasProp(label):
        raise MoleculeError(UNLABELLED.format(field=label))
    smiles = Chem.MolToSmiles(Chem.RemoveAllHs(mol))
    named = None if label is None else mol.GetProp(label)
    return _Row(record.name, smiles, scaffold_split(mol), make(mol), named)
