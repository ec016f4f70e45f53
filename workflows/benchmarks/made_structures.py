"""False alarms among structures that are made, of molecules that the shipped calibration has not seen.

    python workflows/benchmarks/made_structures.py SMILES.smi

They are made as `calibrate.py` makes its trusted ones, of the molecules that come after those it took, and by molecular
dynamics of MMFF94 in OpenMM; each is scored beside its source.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import click
import numpy as np
import openmm
import torch
from conformer_measures import table
from openmm import unit
from plausibility_measures import share
from plausibility_tables import ALPHA, percent
from rdkit import Chem
from structure_scores import score_structures

import molebm
from molebm.parametrise import LEARNED, NamedEnergy, named_energy
from molebm.plausibility.calibration import load_calibration
from molebm.plausibility.scoring import ScoringSettings

sys.path.insert(0, str(Path(__file__).parent.parent))
from calibrate import SOURCES, TEMPERATURE, drawn_molecules, made_structure, minimised

SEEN: Final = 600  # molecules that the shipped calibration was made of, the first
STEPS: Final = 5000  # of 1 fs


@click.command()
@click.argument("smiles", type=click.Path(exists=True, path_type=Path))
@click.option("--number", default=200, show_default=True, help="Of molecules.")
def main(smiles: Path, number: int) -> None:
    """Print a table in Markdown."""
    torch.set_num_threads(1)
    energy, calibration = named_energy(LEARNED), load_calibration(None)
    mols = drawn_molecules(smiles, 0)[SEEN : SEEN + number]
    makers = {source: (make, source) for source, (make, _) in SOURCES.items()} | {"MD in OpenMM": (in_openmm, "md")}
    rows = []
    for name, (make, source) in makers.items():
        structures = [made for mol in mols if (made := made_structure(make, mol, energy)) is not None]
        found = score_structures(structures, calibration, energy=energy, settings=ScoringSettings(source=source))
        p_values = np.array([each.p_value for each in found if each.scored])
        rows.append([name, source, str(len(p_values)), percent(share(p_values <= ALPHA))])
    click.echo(table(("made by", "scored beside", "n", "p ≤ 0.05, %"), rows))


def in_openmm(mol: Chem.Mol, energy: NamedEnergy) -> Chem.Mol:
    """Follow a minimised structure at 300 K in MMFF94, in OpenMM."""
    copy = minimised(mol, energy)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURE, 1 / unit.picosecond, 1 * unit.femtosecond)
    integrator.setRandomNumberSeed(1)
    context = openmm.Context(
        molebm.to_openmm(copy, "mmff94"), integrator, openmm.Platform.getPlatformByName("Reference")
    )
    context.setPositions(copy.GetConformer().GetPositions() * unit.angstrom)
    context.setVelocitiesToTemperature(TEMPERATURE, 1)
    integrator.step(STEPS)
    x = context.getState(getPositions=True).getPositions(asNumpy=True).value_in_unit(unit.angstrom)
    copy.GetConformer().SetPositions(np.ascontiguousarray(x))
    return copy


if __name__ == "__main__":
    main()
