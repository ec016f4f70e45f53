"""Draw the pictures of docs/pictures.md: the two pages as a browser shows them, and the plots.

python workflows/figure_pages.py docs/figures

Needs Chromium for the pages.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

import click
from click.testing import CliRunner
from matplotlib.figure import Figure

import molebm
from molebm.cli.main import cli
from molebm.conformers.ensemble_files import from_lowest, shown
from molebm.conformers.torsion_scan import torsion_scan
from molebm.figures import plot_energies, plot_free_energies, plot_torsion_profile
from molebm.parametrise import named_energy

CHROMIUM = next((found for name in ("chromium", "chromium-browser") if (found := shutil.which(name))), "chromium")
DRUGS = Path(__file__).resolve().parents[1] / "data" / "drugs.smi"
WINDOW = (1320, 1010)  # pixels
N_MOLECULES = 12


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def main(folder: Path) -> None:
    """Write report.png and plots.png."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        page = _report(Path(work))
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"]
        flags += [f"--window-size={WINDOW[0]},{WINDOW[1]}", f"--screenshot={folder / 'report.png'}"]
        subprocess.run([CHROMIUM, *flags, page.as_uri()], check=True)
    _plots(folder / "plots.png")


def _report(work: Path) -> Path:
    """Generate conformers of a few medicines, and make their page."""
    lines = [line for line in DRUGS.read_text(encoding="utf-8").splitlines() if len(line) > 45]
    (work / "medicines.smi").write_text("\n".join(lines[:: len(lines) // N_MOLECULES][:N_MOLECULES]) + "\n")
    for command in (
        ["generate", str(work / "medicines.smi"), "-o", str(work / "medicines.sdf"), "-n", "30"],
        ["report", str(work / "medicines.sdf"), "-o", str(work / "page.html")],
    ):
        result = CliRunner().invoke(cli, [*command, "--quiet"])
        if result.exit_code:
            raise click.ClickException(result.output)
    return work / "page.html"


def _plots(picture: Path) -> None:
    """Draw a torsion profile, a funnel and a map beside one another."""
    figure = Figure(figsize=(13, 3.8), layout="constrained")
    left, middle, right = figure.subplots(1, 3)
    (biphenyl,) = molebm.generate("c1ccccc1-c1ccccc1", environment="vacuum", choose="lowest")
    for name in ("learned", "mmff94"):
        scan = torsion_scan(biphenyl, (4, 5, 6, 7), named_energy(name))
        plot_torsion_profile(scan.angles, scan.energies, left, label=name)
    left.set_title("biphenyl, relaxed")
    (ibuprofen,) = molebm.generate(
        "CC(C)Cc1ccc(cc1)[C@@H](C)C(=O)O", n_conformers=60, choose="lowest", environment="vacuum"
    )
    found = shown(ibuprofen)
    plot_energies(found.energies, from_lowest(found), middle, weights=found.weights)
    middle.set_title("ibuprofen, minima")
    plot_free_energies(*_alanine(), right)
    right.set_title("alanine dipeptide, learned, 300 K, vacuum")
    figure.savefig(picture, dpi=110)


def _alanine() -> tuple[list[float], list[float]]:
    """Sample φ and ψ of alanine dipeptide by parallel tempering in the learned energy; degrees."""
    import torch

    from molebm.chem.graph import positions_from_mol, topology_from_mol
    from molebm.forcefield.geometry import torsion_angle
    from molebm.samplers.baoab import baoab, maxwell_boltzmann
    from molebm.samplers.masses import repartition_hydrogen_mass
    from molebm.samplers.run import sample
    from molebm.samplers.tempering import geometric_temperatures, parallel_tempering
    from molebm.units import BOLTZMANN

    chains, ladder = 32, geometric_temperatures(300.0, 600.0, 4)
    (mol,) = molebm.generate("CC(=O)N[C@@H](C)C(=O)NC", environment="vacuum", n_conformers=8)
    topology = topology_from_mol(mol)
    starts = positions_from_mol(mol)
    starts = starts[:, :, torch.arange(4 * chains) % starts.shape[2]]
    masses = repartition_hydrogen_mass(topology)
    sampler = parallel_tempering(
        baoab(molebm.load_model().energy(topology), topology, masses=masses, time_step=2.0),
        topology,
        n_temperatures=4,
        steps_per_swap=100,
    )
    generator = torch.Generator().manual_seed(0)
    kT = BOLTZMANN * ladder.repeat_interleave(chains)
    state = sampler.init(starts)
    velocities = maxwell_boltzmann(topology, masses, starts, kT=kT, generator=generator)
    state = state._replace(replicas=state.replicas._replace(velocities=velocities))
    backbone = torch.tensor([[1, 3, 4, 6], [3, 4, 6, 8]]).T
    rounds = sample(sampler, state, kT=kT, n_steps=400, generator=generator)
    angles = [torsion_angle(now.positions[:, :, :chains], backbone).rad2deg() for now, _ in rounds]
    first, second = torch.cat(angles[40:], dim=1)
    return first.tolist(), second.tolist()


if __name__ == "__main__":
    main()
