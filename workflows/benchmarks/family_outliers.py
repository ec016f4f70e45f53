"""Outliers among rows of descriptors: an energy, beside scikit-learn's isolation forest and robust covariance.

    python workflows/benchmarks/family_outliers.py LIBRARY.smi

All learn from the descriptors of the molecules of all but the test scaffolds. Molecules of test scaffolds are known;
outliers are foreign chemistry, and rows of known molecules with some numbers taken from other molecules. Prints a
Markdown table of areas under the ROC curve with their standard errors, and of seconds of one core.
"""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Callable
from itertools import islice

import click
import numpy as np
import torch
from conformer_measures import table
from family_measures import area
from foreign_chemistry import foreign_sets
from numpy.typing import NDArray
from rdkit import Chem, RDLogger
from sklearn.covariance import EllipticEnvelope
from sklearn.ensemble import IsolationForest

from molebm.chem.descriptors import descriptors
from molebm.chem.reading import read_molecules
from molebm.errors import MoleculeError
from molebm.family.features import Features
from molebm.family.mlp import DescriptorEnergy, MlpConfig, tame
from molebm.family.run import fit
from molebm.preparation.scaffolds import scaffold_split

Array = NDArray[np.float64]
Score = Callable[[Array], Array]


@click.command()
@click.argument("library", type=click.Path(exists=True))
@click.option("--most", default=None, type=int, help="Molecules, from the beginning of the file; all if left out.")
@click.option("--method", "methods", multiple=True, help="One of them; all if left out.")
@click.option("--known", default=600, show_default=True, help="Molecules of unseen scaffolds.")
@click.option("--seed", default=0, show_default=True)
def main(library: str, most: int | None, methods: tuple[str, ...], known: int, seed: int) -> None:
    """Print the table."""
    RDLogger.DisableLog("rdApp.*")
    warnings.filterwarnings("ignore", module="sklearn.covariance")
    torch.set_num_threads(1)
    mols = [record.mol for record in islice(read_molecules(library), most) if record.mol is not None]
    splits = [scaffold_split(mol) for mol in mols]
    unseen = [mol for mol, split in zip(mols, splits, strict=True) if split == "test"]
    random.Random(seed).shuffle(unseen)
    trained = described([mol for mol, split in zip(mols, splits, strict=True) if split != "test"])
    good = described(unseen[:known])
    sets = {label: described(of) for label, of in foreign_sets(unseen[known : 2 * known], seed).items()}
    rng = np.random.default_rng(seed)
    for count in (1, 3, 10):
        sets[f"{count} foreign numbers"] = mixed(described(unseen[known : 2 * known]), count, rng)
    rows = []
    for name, learn in METHODS.items():
        if methods and name not in methods:
            continue
        begun = time.process_time()
        score = learn(trained, seed)
        seconds = time.process_time() - begun
        rows.append((name, *(area(score(good), score(of)) for of in sets.values()), f"{seconds:.0f}"))
        print(f"{name} done", flush=True)
    print(table(("method", *(f"{label} ({len(of)})" for label, of in sets.items()), "seconds"), rows))


def described(mols: list[Chem.Mol]) -> Array:
    """Descriptors (n, D) of the molecules that have them all."""
    make, rows = descriptors(), []
    for mol in mols:
        try:
            rows.append(make(mol)["x"].numpy())
        except MoleculeError:
            continue
    return np.array(rows, dtype=float)


def mixed(x: Array, count: int, rng: np.random.Generator) -> Array:
    """Replace so many numbers of each row by those of another."""
    x = x.copy()
    for row in x:
        columns = rng.choice(x.shape[1], count, replace=False)
        row[columns] = x[rng.integers(len(x)), columns]
    return x


def _energy(**settings: object) -> Callable[[Array, int], Score]:
    def learn(x: Array, seed: int) -> Score:
        data = Features({"x": torch.tensor(x, dtype=torch.float32)}, ["train"] * len(x), [""] * len(x), {})
        config = MlpConfig.model_validate({"model": "mlp", "seed": seed, **settings})
        model = fit(DescriptorEnergy, config, data).requires_grad_(False)
        return lambda rows: model.energy(torch.tensor(rows, dtype=torch.float32)).double().numpy()

    return learn


def _gaussian(x: Array, seed: int) -> Score:
    data = Features({"x": torch.tensor(x, dtype=torch.float32)}, ["train"] * len(x), [""] * len(x), {})
    model = DescriptorEnergy.build(MlpConfig(), data).requires_grad_(False)
    return lambda rows: model.whiten(torch.tensor(rows, dtype=torch.float32)).square().sum(1).double().numpy()


def _forest(x: Array, seed: int) -> Score:
    model = IsolationForest(n_estimators=300, random_state=seed).fit(x)
    return lambda rows: -model.score_samples(rows)


def _envelope(x: Array, seed: int, *, tamed: bool = False) -> Score:
    if not tamed:
        model = EllipticEnvelope(random_state=seed, support_fraction=0.9).fit(x)
        return model.mahalanobis
    scale = DescriptorEnergy.build(
        MlpConfig(), Features({"x": torch.tensor(x, dtype=torch.float32)}, ["train"] * len(x), [""] * len(x), {})
    )

    def bend(rows: Array) -> Array:
        return tame(torch.tensor(rows, dtype=torch.float32), scale.median, scale.spread).double().numpy()

    model = EllipticEnvelope(random_state=seed, support_fraction=0.9).fit(bend(x))
    return lambda rows: model.mahalanobis(bend(rows))


METHODS: dict[str, Callable[[Array, int], Score]] = {
    "energy, NCE": _energy(objective="nce"),
    "energy, PCD": _energy(objective="pcd"),
    "its Gaussian alone": _gaussian,
    "isolation forest": _forest,
    "elliptic envelope": _envelope,
    "elliptic envelope, descriptors bent": lambda x, seed: _envelope(x, seed, tamed=True),
}


if __name__ == "__main__":
    main()
