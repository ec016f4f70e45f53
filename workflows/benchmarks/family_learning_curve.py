"""Properties from few labels: features of a deep belief network that saw no label, beside raw bits and a random forest.

    python workflows/benchmarks/family_learning_curve.py LIBRARY.smi

The network learns from the bits of all molecules but those of the test scaffolds; labels are of some of the former,
drawn anew for each repetition, and errors are of the latter. Every method sees the same bits and the same labels.
Prints a Markdown table for each property: the mean coefficient of determination and its standard error over draws.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import islice

import click
import numpy as np
import torch
from conformer_measures import table
from numpy.typing import NDArray
from rdkit.Chem import QED, Crippen, rdMolDescriptors
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import RidgeCV
from sklearn.metrics import r2_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from molebm.chem.featurising import featuriser
from molebm.chem.reading import read_molecules
from molebm.family.dbn import DbnConfig, DeepBeliefNetwork
from molebm.family.features import Features
from molebm.family.fine_tuning import fine_tune
from molebm.family.run import fit
from molebm.preparation.scaffolds import scaffold_split

Array = NDArray[np.float64]
Predict = Callable[[NDArray[np.int64], Array], Array]
PROPERTIES = {"logP (Crippen)": Crippen.MolLogP, "TPSA": rdMolDescriptors.CalcTPSA, "QED": QED.qed}
ALPHAS = np.logspace(-1, 5, 13)


@click.command()
@click.argument("library", type=click.Path(exists=True))
@click.option("--features", default="morgan", show_default=True)
@click.option("--layers", default="256,64", show_default=True)
@click.option("--updates", default=2000, show_default=True)
@click.option("--objective", default="cd", show_default=True)
@click.option("--most", default=5000, show_default=True, help="Molecules, from the beginning of the file.")
@click.option("--draws", default=4, show_default=True)
@click.option("--labels", default="10,30,100,300,1000", show_default=True)
def main(
    library: str, features: str, layers: str, updates: int, objective: str, most: int, draws: int, labels: str
) -> None:
    """Print the tables."""
    torch.set_num_threads(1)
    mols = [record.mol for record in islice(read_molecules(library), most) if record.mol is not None]
    pool = np.array([scaffold_split(mol) != "test" for mol in mols])
    make = featuriser(features)
    bits = torch.stack([make(mol)["x"] for mol in mols])
    begun = time.perf_counter()
    data = Features({"x": bits[pool]}, ["train"] * int(pool.sum()), [""] * int(pool.sum()), {})
    sizes = tuple(int(size) for size in layers.split(","))
    network = fit(DeepBeliefNetwork, DbnConfig(layers=sizes, updates=updates, objective=objective), data)
    print(f"{pool.sum()} molecules without labels, {len(mols) - pool.sum()} of unseen scaffolds; ", end="")
    print(f"the network of {bits.shape[1]}-{'-'.join(map(str, sizes))} bits took {time.perf_counter() - begun:.0f} s\n")
    x = bits.float()
    learned = network.features(x).numpy().astype(float)
    reduced = PCA(sum(sizes), random_state=0).fit(bits[pool].numpy()).transform(bits.numpy())
    raw = bits.numpy().astype(float)
    methods: dict[str, Predict] = {
        "ridge on bits": _ridge(raw, pool),
        "random forest on bits": _forest(raw, pool),
        f"ridge on {sum(sizes)} principal components": _ridge(reduced, pool),
        "ridge on DBN features": _ridge(learned, pool),
        "ridge on bits and DBN features": _ridge(np.c_[raw, learned], pool),
        "DBN, fine-tuned": _tuned(network, x, pool),
    }
    counts = [int(count) for count in labels.split(",")]
    for name, function in PROPERTIES.items():
        y = np.array([function(mol) for mol in mols])
        rows = [(method, *_curve(predict, y, pool, counts, draws)) for method, predict in methods.items()]
        print(table((f"{name}, labels", *map(str, counts)), rows) + "\n", flush=True)


def _curve(predict: Predict, y: Array, pool: NDArray[np.bool_], counts: list[int], draws: int) -> list[str]:
    found = []
    for count in counts:
        scores = []
        for draw in range(draws):
            chosen = np.random.default_rng(draw).choice(np.flatnonzero(pool), count, replace=False)
            scores.append(r2_score(y[~pool], predict(chosen, y[chosen])))
        found.append(f"{np.mean(scores):.3f} ± {np.std(scores, ddof=1) / draws**0.5:.3f}")
    return found


def _ridge(x: Array, pool: NDArray[np.bool_]) -> Predict:
    def predict(chosen: NDArray[np.int64], y: Array) -> Array:
        model = make_pipeline(StandardScaler(), RidgeCV(ALPHAS))
        return model.fit(x[chosen], y).predict(x[~pool])

    return predict


def _forest(x: Array, pool: NDArray[np.bool_]) -> Predict:
    def predict(chosen: NDArray[np.int64], y: Array) -> Array:
        model = RandomForestRegressor(100, max_features=0.1, random_state=0, n_jobs=1)
        return model.fit(x[chosen], y).predict(x[~pool])

    return predict


def _tuned(network: DeepBeliefNetwork, x: torch.Tensor, pool: NDArray[np.bool_]) -> Predict:
    def predict(chosen: NDArray[np.int64], y: Array) -> Array:
        mean, spread = y.mean(), y.std()
        target = torch.tensor((y - mean) / spread, dtype=torch.float32)
        tuned = fine_tune(network, x[chosen], target)
        return tuned(x[~pool]).numpy() * spread + mean

    return predict


if __name__ == "__main__":
    main()
