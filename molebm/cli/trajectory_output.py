"""What `molebm generate` writes beside its SDF: the same conformers as trajectories."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from molebm.errors import RequestError

_TRAJECTORIES: Final = (".dcd", ".xtc", ".trr", ".h5")


def check_trajectories(trajectory: Path | None, output: Path, *, force: bool) -> None:
    """Look before any work is done whether trajectories can be written.

    Raises
    ------
    RequestError
        If not, or the output that they are made from is no SDF but a trajectory itself, say.
    """
    from molebm.chem.text_files import extension

    if extension(output) in _TRAJECTORIES:
        raise RequestError(
            f"output '{output}' would lose energies and names; write an .sdf, and --trajectory '{output}'"
        )
    if trajectory is None:
        return
    from molebm.interop.mdtraj_trajectory import check_trajectory_output

    if extension(output) not in (".sdf", ".sd"):
        raise RequestError(f"--trajectory is made from an SDF, and output '{output}' is none; name it .sdf")
    check_trajectory_output(trajectory, force=force)


def write_as_trajectories(output: Path, trajectory: Path | None, *, force: bool) -> None:
    """Write the conformers in a complete SDF as trajectories, if asked to and if there are any."""
    if trajectory is None:
        return
    from molebm.chem.reading import read_molecules
    from molebm.chem.text_files import open_text
    from molebm.interop.mdtraj_trajectory import ensembles_of, write_trajectories

    with open_text(output) as file:
        if not file.read(1):
            return
    write_trajectories(ensembles_of(read_molecules(output)), trajectory, force=force)
