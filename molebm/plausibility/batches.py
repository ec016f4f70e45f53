"""Structures side by side: different molecules along the atoms, poses of one molecule as conformers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final, NamedTuple

import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.graph import topology_from_mol
from molebm.errors import MoleculeError
from molebm.forcefield.parameters import Parameters
from molebm.parametrise import Parametrise
from molebm.plausibility.structures import Structure
from molebm.topology import Topology, concatenate

MOST_PAIRS: Final = 200_000  # pairs of atoms, times conformers, in a batch: some tens of drugs


class Poses(NamedTuple):
    """Consecutive structures of one molecule with one order of atoms."""

    places: list[int]  # (C,) where they came
    structures: list[Structure]  # (C,)


@dataclass(frozen=True, slots=True)
class Batch:
    """G molecules with C poses of each, ready for the kernel."""

    molecules: list[Poses]
    topology: Topology
    parameters: Parameters  # float32
    positions: Tensor  # (3, N, C) Å float64
    added: Tensor  # (N,) bool, hydrogens that the input lacked


def runs_of_poses(structures: Iterable[tuple[int, Structure]]) -> list[Poses]:
    """Join neighbours that are poses of one molecule."""
    runs: list[Poses] = []
    for place, structure in structures:
        if runs and runs[-1].structures[-1].is_pose_of(structure):
            runs[-1].places.append(place)
            runs[-1].structures.append(structure)
        else:
            runs.append(Poses([place], [structure]))
    return runs


def batches(runs: Sequence[Poses]) -> Iterator[list[Poses]]:
    """Put molecules with as many poses and similar size together, as many as are worth one evaluation."""

    def shape(run: Poses) -> tuple[int, int]:
        return len(run.places), run.structures[0].mol.GetNumAtoms()

    for n_poses, alike in groupby(sorted(runs, key=shape), key=lambda run: len(run.places)):
        batch: list[Poses] = []
        n_pairs = 0
        for run in alike:
            more = n_poses * run.structures[0].mol.GetNumAtoms() ** 2 // 2
            if batch and n_pairs + more > MOST_PAIRS:
                yield batch
                batch, n_pairs = [], 0
            batch.append(run)
            n_pairs += more
        yield batch


def assemble(
    molecules: list[Poses], parametrise: Parametrise, device: torch.device
) -> tuple[Batch | None, list[tuple[Poses, MoleculeError]]]:
    """Parametrise molecules together, and set apart those that have no parameters, with the reason."""
    mols = [poses.structures[0].mol for poses in molecules]
    topologies = [topology_from_mol(mol) for mol in mols]
    failed: list[tuple[Poses, MoleculeError]] = []
    try:
        topology = concatenate(topologies).to(device)
        parameters = parametrise(mols, topology)
    except MoleculeError:
        reasons = [_reason(mol, alone, parametrise) for mol, alone in zip(mols, topologies, strict=True)]
        failed = [(poses, reason) for poses, reason in zip(molecules, reasons, strict=True) if reason is not None]
        kept = [index for index, reason in enumerate(reasons) if reason is None]
        if not kept:
            return None, failed
        molecules = [molecules[index] for index in kept]
        topology = concatenate([topologies[index] for index in kept]).to(device)
        parameters = parametrise([mols[index] for index in kept], topology)
    positions = torch.cat([torch.cat([s.positions for s in poses.structures], dim=2) for poses in molecules], dim=1)
    added = torch.cat([_added(poses.structures[0]) for poses in molecules])
    return Batch(molecules, topology, parameters, positions.to(device), added.to(device)), failed


def _reason(mol: Chem.Mol, topology: Topology, parametrise: Parametrise) -> MoleculeError | None:
    try:
        parametrise([mol], topology)
    except MoleculeError as error:
        return error
    return None


def _added(structure: Structure) -> Tensor:
    return torch.arange(structure.mol.GetNumAtoms()) >= structure.n_given
