"""Draw docs/figures/score_trace.png: dynamics of aspirin by the learned energy, heated for a while, and scored."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

import mdtraj
import numpy as np
import openmm
from openmm import unit

import molebm

FIGURE = Path(__file__).resolve().parents[1] / "docs" / "figures" / "score_trace.png"
SMILES = "CC(=O)Oc1ccccc1C(=O)O"
FRAMES, STEPS_BETWEEN = 200, 100  # of 1 fs
HEATED = range(120, 160)
TEMPERATURES = (300, 900)  # K


def main() -> None:
    """Simulate, write the trajectory, and let the command score and plot it."""
    (mol,) = molebm.generate(SMILES, n_conformers=1)
    integrator = openmm.LangevinMiddleIntegrator(TEMPERATURES[0], 1 / unit.picosecond, 1 * unit.femtosecond)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("Reference")
    context = openmm.Context(molebm.to_openmm(mol), integrator, platform)
    context.setPositions(mol.GetConformer().GetPositions() * unit.angstrom)
    frames = []
    for frame in range(FRAMES):
        integrator.setTemperature(TEMPERATURES[frame in HEATED])
        integrator.step(STEPS_BETWEEN)
        frames.append(context.getState(positions=True).getPositions(asNumpy=True).value_in_unit(unit.nanometer))
    with tempfile.TemporaryDirectory() as folder:
        trajectory = mdtraj.Trajectory(np.array(frames), molebm.to_mdtraj(mol).topology)
        trajectory.save(f"{folder}/run.dcd")
        trajectory[0].save(f"{folder}/run.pdb")
        files = (f"{folder}/run.dcd", "--topology", f"{folder}/run.pdb", "-o", f"{folder}/scores.csv")
        command = (
            sys.executable,
            "-m",
            "molebm.cli.main",
            "score",
            *files,
            "--template",
            SMILES,
            "--plot",
            str(FIGURE),
        )
        subprocess.run((*command, "--force"), check=False)


if __name__ == "__main__":
    main()
