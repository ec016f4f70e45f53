"""Make the features that a diagnosis of structures is trained on.

python workflows/family/defect_features.py CRYSTALS.sdf... --smiles SMILES.smi -o FEATURES
molebm train workflows/family/jem.toml FEATURES -o runs/diagnosis

The structures are those of the files, and others made of molecules drawn from the SMILES: by `molebm generate`, by
MMFF94 dynamics and by turning bonds at random. All kinds of defects of `defect_structures.CLASSES` are put into each.
Crystals are described by what is usual in other crystals. Molecules, with all made of them, are split at random.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np
import torch
from defect_structures import (
    CLASSES,
    UNSEEN,
    Described,
    Recipe,
    cases_of,
    crystal_parents,
    described,
    made_parents,
    norms_by_fold,
)

from molebm.family.features import FEATURES, write_features
from molebm.parametrise import LEARNED, named_energy
from molebm.plausibility.defect_features import DEFECT_FEATURES
from molebm.plausibility.diagnosis import DEFECTS
from molebm.preparation.folders import write_manifest
from molebm.preparation.prepare import shard_name

SPLITS = {"train": 0.7, "validation": 0.15, "test": 0.15}


@dataclass(frozen=True, slots=True)
class DefectFeatures:
    """What is noted in the manifest."""

    crystals: list[str]
    smiles: str | None
    number: int
    seed: int
    recipes: Mapping[str, Mapping[str, Recipe]]


@click.command()
@click.argument("crystals", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--smiles", type=click.Path(exists=True, path_type=Path), help="Molecules to make structures of.")
@click.option("--number", default=150, show_default=True, help="How many of them.")
@click.option("--seed", default=0, show_default=True)
@click.option("--unseen", is_flag=True, help="Kinds that no class has, each a class of its own; to test on.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to fill.")
def main(crystals: Sequence[Path], smiles: Path | None, number: int, seed: int, unseen: bool, output: Path) -> None:
    """Write features of sound and of broken structures, with their classes."""
    torch.set_num_threads(1)
    energy = named_energy(LEARNED)
    recipes = {label: kinds for label, kinds in CLASSES.items() if kinds}
    if unseen:
        recipes |= {name: {name: recipe} for name, recipe in UNSEEN.items()}
    parents = crystal_parents(crystals)
    folds, norms = norms_by_fold(parents, energy, seed)
    cases = list(cases_of(parents, recipes, seed))
    if smiles is not None:
        cases += cases_of(list(made_parents(smiles, number, energy, seed)), recipes, seed + 1)
    found = described(cases, energy, folds, norms)
    names = [path.name for path in crystals]
    write(output, found, DefectFeatures(names, smiles and smiles.name, number, seed, recipes))
    for label in dict.fromkeys(found.labels):
        click.echo(f"{label}: {found.labels.count(label)}")


def write(folder: Path, found: Described, settings: DefectFeatures) -> None:
    """Write one shard and the manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    classes = sorted(set(found.labels))
    places = torch.tensor([classes.index(label) for label in found.labels])
    rows = [{"x": torch.from_numpy(x), "y": y} for x, y in zip(found.features, places, strict=True)]
    of_molecule = split_molecules(found.molecules, settings.seed)
    names = [f"{source}: {kind}" for source, kind in zip(found.sources, found.kinds, strict=True)]
    splits = [of_molecule[smiles] for smiles in found.molecules]
    shard = folder / shard_name(0)
    write_features(shard, rows, {"names": names, "smiles": found.molecules, "splits": splits})
    made = {"name": DEFECTS, "settings": {}, "columns": list(DEFECT_FEATURES)}
    write_manifest(folder, settings, [shard], [], told={FEATURES: made, "classes": classes})


def split_molecules(molecules: Iterable[str], seed: int) -> dict[str, str]:
    """Give each molecule a split of `SPLITS` at random."""
    distinct = sorted(set(molecules))
    drawn = np.random.default_rng(seed).permutation(len(distinct)) / len(distinct)
    bounds = np.cumsum(list(SPLITS.values()))
    return {
        smiles: list(SPLITS)[min(int(np.searchsorted(bounds, place, side="right")), len(SPLITS) - 1)]
        for smiles, place in zip(distinct, drawn, strict=True)
    }


if __name__ == "__main__":
    main()
