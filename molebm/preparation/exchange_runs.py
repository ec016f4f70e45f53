"""The replica-exchange runs of one molecule in its OpenMM system, and the reference they add up to."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import openmm
import torch
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom
from torch import Tensor

from molebm.chem.cleaning import check_molecule
from molebm.chem.graph import topology_from_mol
from molebm.errors import EmbeddingError, MoleculeError
from molebm.forcefield.geometry import triple_product
from molebm.models.checkpoint import load_tensors, save_tensors
from molebm.preparation.openmm_input import OpenMMMolecule
from molebm.references.openmm_exchange import replica_exchange
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.training.shards import Reference, is_finite


@dataclasses.dataclass(frozen=True, slots=True)
class ExchangeSettings:
    """How molecules are sampled: independent replica-exchange runs, each with all temperatures."""

    force_field: str  # what the systems hold, in words: molecules of one folder share it
    temperatures: tuple[float, ...] = (300.0, 380.0, 480.0, 600.0)  # K
    n_runs: int = 4  # of each molecule, from different conformers; what they differ in has not converged
    n_frames: int = 500  # of each run at each temperature
    between_frames: float = 2.0  # ps
    between_swaps: float = 0.5  # ps
    equilibration: float = 20.0  # ps
    time_step: float = 2.0  # fs
    hydrogen_mass: float = 3.0  # amu, so that 2 fs is stable; configurations do not depend on masses
    friction: float = 2.0  # 1/ps
    platform: str | None = None  # of OpenMM; if not given Reference, or CPU where there is a custom GB force
    seed: int = 0


class Job(NamedTuple):
    """One run, as it travels to a worker."""

    system: str  # XML
    start: NDArray[np.float64]  # (N, 3) Å
    settings: ExchangeSettings
    seed: int
    path: Path  # where its samples are kept until all runs of the molecule are there


class RunDone(NamedTuple):
    """One run is on disk, now or from before."""

    path: Path
    acceptance: list[float]  # of swaps between neighbouring temperatures


def jobs(molecule: OpenMMMolecule, settings: ExchangeSettings, folder: Path) -> list[Job]:
    """Make the runs of one molecule; their seeds depend on its name and not on its company.

    Raises
    ------
    MoleculeError
        If the molecule is not one that molebm knows, or cannot be embedded.
    """
    check_molecule(molecule.mol)
    seeds = [_seed(f"{settings.seed} {molecule.name} {run}") for run in range(settings.n_runs)]
    text = openmm.XmlSerializer.serialize(_repartitioned(molecule, settings.hydrogen_mass))
    starts = _starts(molecule.mol, settings.n_runs, seeds[0])
    return [
        Job(text, start, settings, seed, folder / f"{molecule.name}.run-{number}.partial")
        for number, (start, seed) in enumerate(zip(starts, seeds, strict=True))
    ]


def attempt(job: Job) -> RunDone | MoleculeError:
    """Do one run unless it was done before, or say why it cannot be done."""
    if not job.path.exists():
        try:
            save_tensors(job.path, _run(job))
        except MoleculeError as error:
            return error
    return RunDone(job.path, load_tensors(job.path)["acceptance"].tolist())


def _run(job: Job) -> dict[str, Tensor]:
    settings = job.settings
    system = openmm.XmlSerializer.deserialize(job.system)
    frames = list(
        replica_exchange(
            system,
            job.start,
            temperatures=settings.temperatures,
            n_frames=settings.n_frames,
            ps_between_frames=settings.between_frames,
            ps_between_swaps=settings.between_swaps,
            equilibration_ps=settings.equilibration,
            time_step_fs=settings.time_step,
            friction=settings.friction,
            platform=settings.platform or _usual_platform(system),
            seed=job.seed,
        )
    )
    arrays = {
        "start": job.start.astype(np.float32),  # (N, 3) Å
        "positions": np.stack([[rung.positions for rung in frame.rungs] for frame in frames]),  # (F, T, N, 3) Å
        "energies": np.array([[rung.energy for rung in frame.rungs] for frame in frames], dtype=np.float32),  # (F, T)
        "forces": np.stack([[rung.forces for rung in frame.rungs] for frame in frames]),  # (F, T, N, 3) kcal/mol/Å
        "acceptance": frames[-1].acceptance,  # (T - 1,)
    }
    return {name: torch.from_numpy(array) for name, array in arrays.items()}


def reference_of(molecule: OpenMMMolecule, paths: Sequence[Path], settings: ExchangeSettings) -> Reference:
    """Put the runs of a molecule together, frame after frame, at each temperature run after run.

    Raises
    ------
    MoleculeError
        If a stereo centre was inverted on the way, or a sample is not finite.
    """
    topology = topology_from_mol(molecule.mol)
    runs = [load_tensors(path) for path in paths]

    def columns(name: str) -> Tensor:
        """Lay (F, T, ...) of each run out as (F T R, ...), and the columns last."""
        joined = torch.stack([run[name] for run in runs], dim=2)  # (F, T, R, ...)
        return joined.flatten(0, 2).movedim(0, -1)

    positions = columns("positions").movedim(1, 0).contiguous()  # (3, N, C)
    inverted = triple_product(positions, topology.stereo_centres).sign() != topology.stereo_signs[:, None]
    if inverted.any():
        raise MoleculeError("a stereo centre was inverted on the way; lower the highest temperature")
    found = Reference(
        name=molecule.name,
        smiles=Chem.MolToSmiles(Chem.RemoveAllHs(molecule.mol)),
        split=molecule.split,
        topology=topology,
        positions=positions,
        temperatures=torch.tensor(settings.temperatures).repeat_interleave(len(runs)).repeat(settings.n_frames),
        energies=columns("energies"),
        forces=columns("forces").movedim(1, 0).contiguous(),
        minima=torch.empty(3, topology.n_atoms, 0),
        minima_energies=torch.empty(0),
        starts=torch.stack([run["start"].T for run in runs], dim=-1),
    )
    if not is_finite(found):
        raise MoleculeError("a sample is not finite; take a shorter time step")
    return found


def _seed(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big")


def _repartitioned(molecule: OpenMMMolecule, hydrogen_mass: float) -> openmm.System:
    system = copy.deepcopy(molecule.system)
    masses = repartition_hydrogen_mass(topology_from_mol(molecule.mol), hydrogen_mass=hydrogen_mass)
    for index, mass in enumerate(masses.tolist()):
        system.setParticleMass(index, mass)
    return system


def _starts(mol: Chem.Mol, n: int, seed: int) -> list[NDArray[np.float64]]:
    """Take the conformers a molecule has and embed as many as are missing, each (N, 3) Å."""
    given = [conformer.GetPositions() for conformer in mol.GetConformers()][:n]
    embedding = rdDistGeom.ETKDGv3()
    embedding.randomSeed = seed % (2**31 - 1)
    embedding.timeout = 60
    owner = Chem.Mol(mol)
    found = rdDistGeom.EmbedMultipleConfs(owner, n - len(given), embedding) if len(given) < n else ()
    starts = given + [owner.GetConformer(index).GetPositions() for index in found]
    if len(starts) < n:
        raise EmbeddingError(f"only {len(found)} of {n - len(given)} embeddings succeeded in 60 s")
    return starts


def _usual_platform(system: openmm.System) -> str:
    """Name the quicker of the two platforms that use one core for a small molecule.

    The Reference platform has no overhead but interprets custom forces between pairs.
    """
    interpreted = (openmm.CustomGBForce, openmm.CustomNonbondedForce)
    return "CPU" if any(isinstance(force, interpreted) for force in system.getForces()) else "Reference"
