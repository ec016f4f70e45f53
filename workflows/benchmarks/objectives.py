"""The objectives against each other: same network, same data, same minutes of one core.

    python workflows/benchmarks/objectives.py REFERENCES --minutes 3

REFERENCES is a folder that `molebm prepare` made. Each row starts from random weights; "then" marks stages, "+" a sum.
Prints a Markdown table, a row as soon as it is there.
"""

from __future__ import annotations

from itertools import islice
from pathlib import Path
from typing import Any

import click
import torch
from timed_training import Quality, quality, train_for

from molebm.training.config import TrainingConfig
from molebm.training.pool import Shards
from molebm.training.shards import read_references, verified_shards

NCE = {"objective": "conditional_nce"}
PCD = {"objective": "persistent_contrastive_divergence"}
FORCES = {"objective": "force_matching"}
POPULATIONS = {"objective": "boltzmann_cross_entropy"}
ROWS: dict[str, list[tuple[int, list[dict[str, Any]]]]] = {  # stages: share of the updates, objectives
    "conditional NCE": [(1, [NCE])],
    "InfoNCE, 7 negatives": [(1, [{"objective": "info_nce"}])],
    "conditional NCE, then CD-10": [(1, [NCE]), (9, [{"objective": "contrastive_divergence"}])],
    "conditional NCE, then PCD-10": [(1, [NCE]), (9, [PCD])],
    "conditional NCE, then PCD-10 tempered": [(1, [NCE]), (9, [{**PCD, "tempering": True}])],
    "denoising, 0.01 Å": [(1, [{"objective": "denoising_score_matching"}])],
    "denoising, 0.005-0.05 Å": [(1, [{"objective": "multilevel_denoising_score_matching"}])],
    "sliced score matching": [(1, [{"objective": "sliced_score_matching"}])],
    "conditional NCE, then sliced": [(1, [NCE]), (9, [{"objective": "sliced_score_matching"}])],
    "Boltzmann cross-entropy": [(1, [POPULATIONS])],
    "force matching": [(1, [FORCES])],
    "force matching + Boltzmann cross-entropy": [(1, [FORCES, POPULATIONS])],
    "force matching, then + PCD-10": [(7, [FORCES]), (3, [FORCES, PCD])],
}


@click.command()
@click.argument("references", type=click.Path(exists=True, path_type=Path))
@click.option("--minutes", default=3.0, show_default=True, help="Of processor time, for each row.")
@click.option("--shards", "n_shards", default=32, show_default=True, help="Train on the first so many.")
@click.option("--molecules", default=100, show_default=True, help="Unseen molecules to evaluate on.")
@click.option("--picoseconds", default=10.0, show_default=True, help="Of dynamics at 300 K, for the valid structures.")
@click.option("--only", multiple=True, help="Rows to run, by a part of their name; all if left out.")
def main(
    references: Path, minutes: float, n_shards: int, molecules: int, picoseconds: float, only: tuple[str, ...]
) -> None:
    """Print the table."""
    torch.set_num_threads(1)
    shards = Shards(list(islice(verified_shards(references), n_shards)), "train", 0)
    unseen = list(islice(read_references(references, "test"), molecules))
    click.echo(f"{minutes:g} minutes of one core for each row, {len(unseen)} unseen molecules\n")
    click.echo(Quality.HEADER.format("objective"))
    for label, parts in ROWS.items():
        if only and not any(part in label for part in only):
            continue
        stages = [{"updates": 100 * share, "objectives": objectives} for share, objectives in parts]
        config = TrainingConfig.model_validate({"stages": stages, "columns": 24, "pool": {"shards": n_shards}})
        trained = train_for(minutes, config, shards)
        click.echo(quality(trained.model, unseen, picoseconds=picoseconds).row(label, trained))


if __name__ == "__main__":
    main()
