"""Write the model card: what a model was trained on and how, its curves, its figures and its known limits.

    python workflows/model_card.py MODEL.json LOG.jsonl FIGURES.json --card docs/model_card.md

FIGURES.json is what `workflows/benchmarks/learned_energy.py --json` wrote. Every number in the card comes from these
three files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import click
import matplotlib.pyplot as plt
from benchmarks.learned_tables import missed, tables
from matplotlib.axes import Axes

from molebm.figures.training import read_training_log

N_WORST = 6  # groups named among the limits
FEWEST_MOLECULES = 10  # of a kind, below which its figures say little

Row = Mapping[str, Any]


@click.command()
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.argument("log", type=click.Path(exists=True, path_type=Path))
@click.argument("figures", type=click.Path(exists=True, path_type=Path))
@click.option("--card", type=click.Path(path_type=Path), default=Path("docs/model_card.md"), show_default=True)
@click.option("--curves", type=click.Path(path_type=Path), default=Path("docs/figures/training.png"), show_default=True)
def main(model: Path, log: Path, figures: Path, card: Path, curves: Path) -> None:
    """Draw the curves and write the card."""
    metadata, measured = json.loads(model.read_text()), json.loads(figures.read_text())
    reports = {row["update"]: row for row in read_training_log(log)}
    curves.parent.mkdir(parents=True, exist_ok=True)
    _draw([reports[update] for update in sorted(reports)], curves)
    picture = os.path.relpath(curves, card.parent)
    card.write_text("\n\n".join(_sections(metadata, reports, measured, picture)) + "\n")


def _draw(reports: Sequence[Row], file: Path) -> None:
    figure, axes = plt.subplots(1, 4, figsize=(15, 3.2), layout="constrained")
    for place, key, title in ((0, "loss", "loss"), (1, "gradient_norm", "gradient norm")):
        _curve(axes[place], reports, key, title)
    axes[1].set_yscale("log")
    _curve(axes[2], reports, "pearson", "validation: Pearson r")
    _curve(axes[2], reports, "slope", "validation: Pearson r, slope")
    if axes[2].lines:
        axes[2].legend()
    _curve(axes[3], reports, "rmse", "validation: RMSE, kcal/mol")
    axes[3].set_ylim(bottom=0)
    figure.savefig(file, dpi=110)


def _curve(axes: Axes, reports: Sequence[Row], key: str, title: str) -> None:
    points = [(row["update"], row[key]) for row in reports if row.get(key) is not None]
    if points:
        axes.plot(*zip(*points, strict=True), label=key, marker="." if len(points) < 100 else None, linewidth=1)
    axes.set(xlabel="update", title=title)


def _sections(metadata: Row, reports: Mapping[int, Row], measured: Row, picture: str) -> Iterator[str]:
    yield f"# Model card: {measured['model']['name']}"
    yield (
        "An energy for drug-like molecules in vacuum, with the functional form of MMFF94 and parameters that a graph "
        "network predicts. For conformer generation, plausibility scores and Langevin sampling; not for reactions, "
        "thermochemistry or anything that needs more than its reference can give.\n\n"
        "This page is written by [model_card.py](../workflows/model_card.py) from the model's own file, the log of "
        "its training and the figures of [learned_energy.py](../workflows/benchmarks/learned_energy.py)."
    )
    yield "## Data"
    yield "\n".join(_data(metadata, measured))
    yield "## Objective"
    yield "\n".join(_objective(metadata))
    yield "## Training"
    yield _last_check(reports)
    yield f"![Loss, gradient norm and agreement on validation molecules against the number of updates]({picture})"
    yield "## Figures"
    yield tables(measured)
    yield "## Known limits"
    yield "\n".join(_limits(metadata, measured))
    yield "## Versions"
    versions = {**measured["versions"], **metadata.get("versions", {})}
    stated = ", ".join(f"{name} {version}" for name, version in versions.items())
    yield f"{stated}. Weights: SHA-256 `{measured['model']['sha256']}`."


def _data(metadata: Row, measured: Row) -> Iterator[str]:
    settings, ensemble = metadata["references"], metadata["references"]["ensemble"]
    kelvin = ", ".join(f"{temperature:.0f}" for temperature in ensemble["temperatures"])
    yield f"* Reference: {settings['variant']}, molecules of at most {settings['max_atoms']} atoms."
    yield (
        f"* Trained on {metadata['n_training_molecules']} molecules; the figures are of "
        f"{measured['references']['n_molecules']} others. A hash of the Bemis–Murcko scaffold decides which, "
        "so that no scaffold is in both."
    )
    yield (
        f"* Samples of each: {ensemble['n_chains']} chains × {ensemble['n_frames']} frames at each of {kelvin} K, "
        f"{ensemble['between_frames']:g} ps apart after {ensemble['equilibration']:g} ps of Langevin dynamics with "
        f"{ensemble['time_step']:g} fs, and {ensemble['n_minima']} minima."
    )


def _objective(metadata: Row) -> Iterator[str]:
    config = metadata.get("config", {})
    yield f"* {metadata['objective']}; {metadata['updates']} updates."
    for number, stage in enumerate(config.get("stages", []), start=1):
        terms = "; ".join(_objective_term(term) for term in stage["objectives"])
        yield f"* Stage {number}, {stage['updates']} updates: {terms}."
    yield f"* Network: {_settings(metadata['network'])}."
    if "residual" in metadata:
        yield f"* Residual: {_settings(metadata['residual'])}."
    if "optimiser" in config:
        molecules = config["molecules_per_update"]
        yield f"* Optimiser: AdamW, {_settings(config['optimiser'])}; {molecules} molecules an update."


def _objective_term(term: Row) -> str:
    rest = {key: value for key, value in term.items() if key != "objective"}
    return f"{term['objective'].replace('_', ' ')} ({_settings(rest)})"


def _settings(values: Row) -> str:
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in values.items())


def _last_check(reports: Mapping[int, Row]) -> str:
    checked = [row for _, row in sorted(reports.items()) if row.get("pearson") is not None]
    if not checked:
        return "The log holds no validation."
    last = checked[-1]
    return (
        f"At update {last['update']}, on validation molecules at 500 K: Pearson r {last['pearson']:.4f}, slope "
        f"{last['slope']:.3f}, RMSE {last['rmse']:.2f} kcal/mol (medians)."
    )


def _limits(metadata: Row, measured: Row) -> Iterator[str]:
    variant = metadata["references"]["variant"]
    yield (
        f"* The errors of {variant} in vacuum are learned with it: the figures are agreement with {variant}, not with "
        "nature."
    )
    for words in missed(measured):
        yield f"* Aim not reached: {words}."
    kinds = [*measured["elements"], *measured["charges"], *measured["groups"]]
    worst = sorted((row for row in kinds if row["n_molecules"] >= FEWEST_MOLECULES), key=lambda row: -row["rmse"])
    named = ", ".join(f"{row['name']} ({row['rmse']:.2f} kcal/mol)" for row in worst[:N_WORST])
    yield f"* The largest errors at 500 K are those of molecules with: {named}."
    rare = [f"{row['name']} ({row['n_molecules']})" for row in kinds if row["n_molecules"] < FEWEST_MOLECULES]
    if rare:
        yield f"* Fewer than {FEWEST_MOLECULES} test molecules, so that little is known: {', '.join(rare)}."
    yield f"* Elements: {', '.join(row['name'] for row in measured['elements'])}; anything else is refused."


if __name__ == "__main__":
    main()
