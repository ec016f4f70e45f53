"""How well a joint energy model tells kinds of defects apart and what is none of them, beside a plain classifier.

    python workflows/family/defect_features.py CRYSTALS.sdf --smiles SMILES.smi --unseen -o FEATURES
    python workflows/benchmarks/family_jem.py FEATURES

Both have the network of workflows/family/jem.toml and as many updates; the classifier has no generative half. Molecules
are split, so none of those tested was seen in any form. An isolation forest is fitted to the same training rows.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click
import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from molebm.family.config import checked, read_toml
from molebm.family.features import Features, read_features
from molebm.family.jem import JemConfig, JointEnergyModel
from molebm.family.run import FamilyRun, held_out_energies
from molebm.plausibility.surprise import conformal_p_value

WORKFLOWS = Path(__file__).resolve().parents[1]
sys.path.append(str(WORKFLOWS / "family"))
from defect_structures import CLASSES, SOUND, UNSEEN  # noqa: E402

CONFIG: Final = WORKFLOWS / "family" / "jem.toml"
CRYSTAL: Final = "crystal"
BINS: Final = 10
ALPHA: Final = 0.05
TREES: Final = 300
Array = NDArray[np.float64]


class Rows(NamedTuple):
    """All structures."""

    x: torch.Tensor  # (n, D)
    labels: NDArray[np.str_]  # (n,)
    splits: NDArray[np.str_]
    sources: NDArray[np.str_]


class Trained(NamedTuple):
    """A model, what it says of all structures, and the energies of those held out."""

    classes: list[str]
    energies: Array  # (n,)
    shares: Array  # (n, K)
    calibration: list[float]

    @property
    def doubt(self) -> Array:
        """One less the largest probability."""
        return 1 - self.shares.max(1)

    @property
    def said(self) -> NDArray[np.str_]:
        return np.array(self.classes)[self.shares.argmax(1)]


@click.command()
@click.argument("features", type=click.Path(exists=True, path_type=Path))
@click.option("--updates", default=3000, show_default=True)
@click.option("--updates-left-out", default=1500, show_default=True, help="Where a class is left out; 0 leaves it.")
@click.option("--seed", default=0, show_default=True)
def main(features: Path, updates: int, updates_left_out: int, seed: int) -> None:
    """Print tables in Markdown."""
    torch.set_num_threads(1)
    rows = read_rows(features)
    classes = sorted(CLASSES)
    jem = trained(rows, classes, updates, seed)
    plain = trained(rows, classes, updates, seed, generative=0.0)
    test = (rows.splits == "test") & np.isin(rows.labels, classes)
    crystal = rows.sources == CRYSTAL
    click.echo(f"{(rows.splits == 'train')[np.isin(rows.labels, classes)].sum()} structures to learn from\n")
    click.echo(
        "## Kinds told apart\n\n"
        + accuracy_table(rows, jem, plain, {"crystals": test & crystal, "made": test & ~crystal})
    )
    click.echo("\n## Which kind is taken for which (JEM, all test structures)\n\n" + confusion_table(rows, jem, test))
    forest = forest_scores(rows, classes, seed)
    kinds = [kind for kind in UNSEEN if (rows.labels == kind).any()]
    scores = {
        "E(x), JEM": jem.energies,
        "E(x), classifier": plain.energies,
        "1 - max softmax": plain.doubt,
        "IsolationForest": forest,
    }
    click.echo(
        "\n## Kinds never seen: AUROC against all known kinds of test molecules\n\n"
        + unseen_table(rows, jem, test, kinds, scores)
    )
    if updates_left_out:
        click.echo(
            "\n## Each class left out of training: its AUROC\n\n"
            + left_out_table(rows, classes, updates_left_out, seed)
        )


def read_rows(folder: Path) -> Rows:
    """Read features with the source of each structure, which its name begins with."""
    found = read_features(folder)
    x, y = found.tensors["x"], found.tensors["y"]
    names = np.array(found.facts["classes"])
    sources = np.array([name.partition(":")[0] for name in found.names])
    return Rows(x, names[y.numpy()], np.array(found.splits), sources)


def trained(rows: Rows, classes: Sequence[str], updates: int, seed: int, **keys: object) -> Trained:
    """Train on the structures of some classes, and judge all."""
    kept = np.isin(rows.labels, classes)
    places = torch.tensor([list(classes).index(label) for label in rows.labels[kept]])
    tensors = {"x": rows.x[torch.from_numpy(kept)], "y": places}
    data = Features(tensors, rows.splits[kept].tolist(), rows.sources[kept].tolist(), {"classes": list(classes)})
    settings = checked(JemConfig, {**read_toml(CONFIG), "updates": updates, "seed": seed, **keys}, CONFIG)
    run = FamilyRun(JointEnergyModel, settings, data, torch.device("cpu"))
    for _ in range(updates):
        run.advance()
    model = run.average.eval()
    with torch.no_grad():
        energies, shares = model.energy(rows.x), model.probabilities(rows.x)
    held_out = held_out_energies(model, data, settings, torch.device("cpu"))
    return Trained(list(classes), energies.double().numpy(), shares.double().numpy(), held_out)


def forest_scores(rows: Rows, classes: Sequence[str], seed: int) -> Array:
    known = (rows.splits == "train") & np.isin(rows.labels, classes)
    forest = IsolationForest(n_estimators=TREES, random_state=seed).fit(rows.x[torch.from_numpy(known)].numpy())
    return -forest.score_samples(rows.x.numpy())


def calibration_error(model: Trained, labels: NDArray[np.str_], rows: NDArray[np.bool_]) -> float:
    """Expected calibration error in bins of equal width (Guo et al., ICML 2017)."""
    confidence, right = model.shares[rows].max(1), model.said[rows] == labels[rows]
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    inside = [place == b for b in range(BINS) if (place == b).any()]
    return float(sum(rows_.mean() * abs(confidence[rows_].mean() - right[rows_].mean()) for rows_ in inside))


def accuracy_table(rows: Rows, jem: Trained, plain: Trained, sets: dict[str, NDArray[np.bool_]]) -> str:
    lines = [
        "| test structures | n | model | accuracy, % | calibration error | -ln p(y given x) | none of these, % |",
        "| --- | --: | --- | --: | --: | --: | --: |",
    ]
    for name, inside in sets.items():
        for model_name, model in (("JEM", jem), ("classifier", plain)):
            truth = np.array([model.classes.index(label) for label in rows.labels[inside]])
            loss = -np.log(model.shares[inside][np.arange(len(truth)), truth]).mean()
            right = 100 * (model.said[inside] == rows.labels[inside]).mean()
            error = calibration_error(model, rows.labels, inside)
            strange = 100 * (conformal_p_value(model.energies[inside], model.calibration) <= ALPHA).mean()
            lines.append(
                f"| {name} | {inside.sum()} | {model_name} | {right:.1f} | {error:.3f} | {loss:.3f} | {strange:.1f} |"
            )
    return "\n".join(lines)


def confusion_table(rows: Rows, model: Trained, inside: NDArray[np.bool_]) -> str:
    lines = [f"| is, % said to be | n | {' | '.join(model.classes)} |", "| --- |" + " --: |" * (len(model.classes) + 1)]
    for label in model.classes:
        of_class = inside & (rows.labels == label)
        shares = [100 * (model.said[of_class] == said).mean() for said in model.classes]
        lines.append(f"| {label} | {of_class.sum()} | {' | '.join(f'{share:.0f}' for share in shares)} |")
    return "\n".join(lines)


def unseen_table(
    rows: Rows,
    jem: Trained,
    known: NDArray[np.bool_],
    kinds: Sequence[str],
    scores: dict[str, Array],
) -> str:
    lines = [
        f"| kind | n | {' | '.join(scores)} | none of these, % | otherwise mostly |",
        "| --- | --: |" + " --: |" * (len(scores) + 1) + " --- |",
    ]
    for kind in kinds:
        of_kind = (rows.splits == "test") & (rows.labels == kind)
        if not of_kind.any():
            continue
        found = [told_apart(score[known], score[of_kind]) for score in scores.values()]
        strange = conformal_p_value(jem.energies[of_kind], jem.calibration) <= ALPHA
        rest = jem.said[of_kind][~strange]
        names, counts = np.unique(rest, return_counts=True)
        mostly = f"{names[counts.argmax()]} ({100 * counts.max() / len(rest):.0f} %)" if len(rest) else ""
        lines.append(f"| {kind} | {of_kind.sum()} | {' | '.join(found)} | {100 * strange.mean():.0f} | {mostly} |")
    return "\n".join(lines)


def left_out_table(rows: Rows, classes: Sequence[str], updates: int, seed: int) -> str:
    lines = [
        "| class left out | n | E(x), JEM | E(x), classifier | 1 - max softmax | IsolationForest |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    for left_out in classes:
        if left_out == SOUND:
            continue
        others = [label for label in classes if label != left_out]
        jem = trained(rows, others, updates, seed)
        plain = trained(rows, others, updates, seed, generative=0.0)
        known = (rows.splits == "test") & np.isin(rows.labels, others)
        new = (rows.splits == "test") & (rows.labels == left_out)
        scores = (jem.energies, plain.energies, plain.doubt, forest_scores(rows, others, seed))
        found = [told_apart(score[known], score[new]) for score in scores]
        lines.append(f"| {left_out} | {new.sum()} | {' | '.join(found)} |")
    return "\n".join(lines)


def told_apart(known: Array, new: Array) -> str:
    """AUROC: chance that the new score higher."""
    truth = np.concatenate([np.zeros(len(known)), np.ones(len(new))])
    return f"{roc_auc_score(truth, np.concatenate([known, new])):.3f}"


if __name__ == "__main__":
    main()
