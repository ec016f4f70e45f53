"""`molebm plot`: pictures of runs, torsions and ensembles."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeAlias

import click

from molebm.cli.log import tell
from molebm.cli.options import ENERGY_NAMES, check_output, force_option, model_option, quiet_option
from molebm.errors import RequestError

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from molebm.conformers.ensemble_files import Shown

Atoms: TypeAlias = tuple[int, int, int, int]
EXAMPLES: Final = """\b
Examples:
  molebm plot training runs/first -o curve.png
  molebm plot torsion 'CCCC' --atoms 0 1 2 3 -o butane.png
  molebm plot torsion 'c1ccccc1-c1ccccc1' --atoms 4 5 6 7 --energy learned --energy mmff94 -o biphenyl.svg
  molebm plot energies conformers.sdf -o funnel.png
  molebm plot map dipeptide.sdf --atoms 1 3 4 6 --atoms 3 4 6 8 -o ramachandran.png
"""
KINDS: Final = (".png", ".svg", ".pdf")
MOST_SAMPLES: Final = 100_000  # of a map


@click.command(epilog=EXAMPLES)
@click.argument("what", type=click.Choice(["training", "torsion", "energies", "map"]))
@click.argument("source")
@click.option("-o", "--output", type=click.Path(path_type=Path), required=True, help="Picture: .png .svg or .pdf.")
@click.option("--atoms", type=int, nargs=4, multiple=True, help="Of a torsion, from 0; give two for a map.")
@click.option(
    "--energy",
    "energies",
    type=click.Choice(ENERGY_NAMES),
    multiple=True,
    default=("learned",),
    show_default=True,
    help="Of a torsion profile; repeat it to compare.",
)
@model_option
@click.option("--points", type=click.IntRange(min=6), default=36, show_default=True, help="Of a torsion profile.")
@click.option("--temperature", default=300.0, show_default=True, help="K, of the samples of a map.")
@force_option
@quiet_option
def plot(
    what: str,
    source: str,
    output: Path,
    atoms: tuple[Atoms, ...],
    energies: tuple[str, ...],
    model: Path | None,
    points: int,
    temperature: float,
    force: bool,
    quiet: bool,
) -> int:
    """Draw WHAT of SOURCE into a picture.

    \b
    training  loss and validation of a run; SOURCE is its folder, or its log.jsonl
    torsion   energy as one bond is turned and the rest relaxed; SOURCE is a SMILES or a file with one molecule
    energies  energy against RMSD from the lowest, of the first molecule of a file of conformers
    map       free energy over two torsions, of the first molecule of a file of conformers
    """
    from matplotlib.figure import Figure

    if output.suffix.lower() not in KINDS:
        raise RequestError(f"output '{output}' is of an unknown kind; known are {' '.join(KINDS)}")
    check_output(output, force=force)
    wanted = {"torsion": 1, "map": 2}.get(what, 0)
    if len(atoms) != wanted:
        raise RequestError(f"'molebm plot {what}' takes --atoms {wanted} times; there are {len(atoms)}")
    draw: dict[str, Callable[[Axes], None]] = {
        "training": lambda axes: _training(axes, source),
        "torsion": lambda axes: _torsion(axes, source, atoms[0], energies, model, points),
        "energies": lambda axes: _energies(axes, source),
        "map": lambda axes: _map(axes, source, atoms, temperature),
    }
    figure = Figure(figsize=(6, 4.2), layout="constrained")
    draw[what](figure.add_subplot())
    figure.savefig(output, dpi=150)
    tell(f"picture in '{output}'", quiet=quiet)
    return 0


def _training(axes: Axes, source: str) -> None:
    from molebm.figures import plot_training, read_training_log

    plot_training(read_training_log(source), axes)


def _torsion(axes: Axes, source: str, atoms: Atoms, energies: tuple[str, ...], model: Path | None, points: int) -> None:
    from molebm.conformers import generate
    from molebm.conformers.torsion_scan import torsion_scan
    from molebm.figures import plot_torsion_profile
    from molebm.parametrise import named_energy

    given = Path(source) if Path(source).exists() else source
    for name in dict.fromkeys(energies):
        used = model if name == "learned" else None
        mol = generate(given, energy=name, model=used, environment="vacuum", choose="lowest", n_conformers=4)[0]
        found = torsion_scan(mol, atoms, named_energy(name, used), n_points=points)
        plot_torsion_profile(found.angles, found.energies, axes, label=name)
    axes.set_title(f"{source}, atoms {' '.join(map(str, atoms))}", fontsize=10)


def _energies(axes: Axes, source: str) -> None:
    from molebm.conformers.ensemble_files import MOST_KEPT, from_lowest
    from molebm.figures import plot_energies

    found = _first(source, MOST_KEPT)
    plot_energies(found.energies[: len(found.positions)], from_lowest(found), axes)
    axes.set_title(found.name, fontsize=10)


def _map(axes: Axes, source: str, atoms: tuple[Atoms, ...], temperature: float) -> None:
    import numpy as np
    import torch

    from molebm.figures import plot_free_energies
    from molebm.forcefield.geometry import torsion_angle

    found = _first(source, MOST_SAMPLES)
    if max(max(four) for four in atoms) >= found.mol.GetNumAtoms() or min(min(four) for four in atoms) < 0:
        raise RequestError(f"--atoms: the molecule has the atoms 0 to {found.mol.GetNumAtoms() - 1}")
    positions = torch.from_numpy(np.stack(found.positions, axis=-1)).movedim(1, 0)  # (3, N, C)
    first, second = torsion_angle(positions, torch.tensor(atoms).T).rad2deg()
    plot_free_energies(first, second, axes, temperature=temperature)
    axes.set_title(f"{found.name}, {len(found.positions)} conformers", fontsize=10)


def _first(source: str, most_kept: int) -> Shown:
    """Read the first molecule of a file that has coordinates."""
    from molebm.chem.reading import read_molecules
    from molebm.conformers.ensemble_files import Shown, ensembles_of

    for found in ensembles_of(read_molecules(source, models="together"), most_kept):
        if isinstance(found, Shown):
            return found
    raise RequestError(f"'{source}' holds no conformers; generate some")
