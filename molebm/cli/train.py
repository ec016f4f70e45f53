"""`molebm train`: learn an energy from prepared ensembles or features."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from molebm.cli.interruption import noted_signals
from molebm.cli.log import count, tell
from molebm.cli.options import device_option, quiet_option, resolve_device, resolve_threads, threads_option
from molebm.cli.progress import progress

if TYPE_CHECKING:
    import torch

    from molebm.family.config import FamilyConfig
    from molebm.family.training import FamilyReport
    from molebm.training.loop import Report

EXAMPLES: Final = """\b
Examples:
  molebm train workflows/train.toml references -o runs/first
  molebm train workflows/train.toml references -o runs/second --seed 1 --threads 4
  torchrun --nproc-per-node gpu -m molebm.cli.main train \\
    workflows/train.toml references -o runs/first --device cuda
"""


@click.command(epilog=EXAMPLES)
@click.argument("config", type=click.Path(path_type=Path))
@click.argument("references", type=click.Path(path_type=Path, file_okay=False))
@click.option("-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="Run folder.")
@click.option("--checkpoint-every", type=click.IntRange(min=1), default=500, show_default=True, help="Updates.")
@click.option(
    "--stop-after", type=click.IntRange(min=1), help="Updates of this call; the same command goes on from there."
)
@click.option("--seed", type=click.IntRange(min=0), show_default="that of CONFIG", help="Seed of all random numbers.")
@device_option
@threads_option
@quiet_option
def train(
    config: Path,
    references: Path,
    output: Path,
    checkpoint_every: int,
    stop_after: int | None,
    seed: int | None,
    device: str,
    threads: int | None,
    quiet: bool,
) -> int:
    """Train as CONFIG (TOML) says on the folder REFERENCES that `molebm prepare` or `molebm featurise` made.

    Writes checkpoints, log.jsonl and model.safetensors with model.json to the run folder. A CONFIG that names a model,
    as in model = "rbm", trains that kind of energy; one that does not trains the energy of conformers. After an
    interruption the same command goes on from the last checkpoint. With torchrun several processes share the work,
    with a GPU each if there are as many.
    """
    import torch

    from molebm.family.registry import read_family_config
    from molebm.training.config import read_config
    from molebm.training.loop import begin_or_resume, train_until_done

    if threads is not None:
        torch.set_num_threads(resolve_threads(threads))
    drawn = {} if seed is None else {"seed": seed}
    of_family = read_family_config(config)
    if of_family is not None:
        of_family = of_family.model_copy(update=drawn)
        found = resolve_device(device)
        return _train_family(of_family, references, output, found, checkpoint_every, stop_after, quiet)
    settings = read_config(config).model_copy(update=drawn)
    run = begin_or_resume(settings, references, output, resolve_device(device))
    quiet = quiet or not run.world.leads
    with (
        noted_signals() as asked_to_stop,
        progress("training", total=settings.total_updates, unit="update", quiet=quiet) as advance,
    ):
        advance(run.n_updates)
        seen = run.n_updates
        for report in train_until_done(
            run,
            references,
            output,
            checkpoint_every=checkpoint_every,
            stop_after=stop_after,
            asked_to_stop=asked_to_stop,
        ):
            advance(report.update - seen)
            seen = report.update
            tell(_line(report), quiet=quiet, event="update", **report._asdict())
    if run.world.leads:
        count(updates=seen)
        click.echo(json.dumps({"model": str(output / "model.safetensors"), "updates": seen}))
    return 0


def _train_family(
    settings: FamilyConfig,
    data: Path,
    output: Path,
    device: torch.device,
    checkpoint_every: int,
    stop_after: int | None,
    quiet: bool,
) -> int:
    from molebm.family.training import begin_or_resume, train_until_done

    run = begin_or_resume(settings, data, output, device)
    with progress("training", total=settings.updates, unit="update", quiet=quiet) as advance:
        advance(run.n_updates)
        seen = run.n_updates
        for report in train_until_done(run, data, output, checkpoint_every=checkpoint_every, stop_after=stop_after):
            advance(report.update - seen)
            seen = report.update
            tell(_family_line(report), quiet=quiet, event="update", **report._asdict())
    count(updates=seen)
    click.echo(json.dumps({"model": str(output / "model.safetensors"), "updates": seen}))
    return 0


def _family_line(report: FamilyReport) -> str:
    figures = "".join(f"  {name} {value:.4g}" for name, value in report.figures.items())
    held_out = "".join(f"  validation {name} {value:.4g}" for name, value in (report.validation or {}).items())
    return f"{report.update:6d}  loss {report.loss:.4g}  gradient {report.gradient_norm:.3g}{figures}{held_out}"


def _line(report: Report) -> str:
    text = f"{report.update:6d} {report.stage}: loss {report.loss:.4f}  gradient {report.gradient_norm:.3g}"
    if report.lost:
        worst = ", ".join(f"{name} {count}" for name, count in report.lost.items())
        text += f"  chains lost, most of {worst}"
    if report.pearson is not None:
        text += f"  validation r {report.pearson:.3f} slope {report.slope:.3f} rmse {report.rmse:.2f} kcal/mol"
    return text
