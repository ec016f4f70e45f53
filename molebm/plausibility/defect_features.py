"""A structure as a short row of numbers that tells kinds of defects apart, whatever its size and its place in space."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import torch
from rdkit import Chem
from torch import Tensor

from molebm.errors import Fault
from molebm.forcefield import geometry
from molebm.plausibility.batches import Batch
from molebm.plausibility.observations import (
    ANGLE,
    BOND,
    CONJUGATED,
    KINDS,
    PLANE,
    RING,
    RING_ANGLE,
    RING_BOND,
    ROTAMER,
    TWIST,
)
from molebm.plausibility.statistics import DRIFT_CUT, Standardised
from molebm.topology import Topology

LARGEST: Final = 1e3  # scales; whatever is further off is as wrong
FLAT_TERMS: Final = 6  # the flattest torsions in rings that are averaged: those of one ring of six

_OF_EACH_KIND: Final = ("worst", "second", "mean")
_OTHERS: Final = (
    "bond longer",
    "bonds longer",
    "ring bond longer",
    "ring bonds longer",
    "angle wider",
    "ring angle wider",
    "ring flatter",
    "rings flatter",
    "aromatic plane",
    "cis amide",
    "centres not as declared",
    "double bonds not as declared",
    "heavy atoms",
)
_WORST_SIGNED: Final = {
    BOND: "bond longer",
    RING_BOND: "ring bond longer",
    ANGLE: "angle wider",
    RING_ANGLE: "ring angle wider",
}
_MEAN_SIGNED: Final = {BOND: "bonds longer", RING_BOND: "ring bonds longer"}
_TOLD_BY_ROTORS: Final = (CONJUGATED, TWIST, ROTAMER)
_DESCRIBED: Final = tuple(kind for kind in KINDS if kind not in _TOLD_BY_ROTORS)
DEFECT_FEATURES: Final = (*(f"{kind.name} {what}" for kind in _DESCRIBED for what in _OF_EACH_KIND), *_OTHERS)
"""Names of the numbers, in their order."""

_AMIDE: Final = Chem.MolFromSmarts("[#6]-[CX3](=[OX1])-!@[NX3;H1;+0]-[#6]")
_AROMATIC_FEATURE: Final = 5  # row of `Topology.atom_features`


def defect_features(batch: Batch, terms: Sequence[Standardised], faults: Sequence[Sequence[Fault]]) -> Tensor:
    """Describe every structure of a batch by `DEFECT_FEATURES`, (S, D) float32, in the order of the faults.

    Sizes are logarithms of one plus the scales that a term is off, over what is usual in its environment; of each
    kind of term the worst, the next worst and the mean. Signs say whether the worst bonds, and bonds on average, are
    too long, the worst angles too wide and the torsions of rings too flat.

    Parameters
    ----------
    terms
        Of the measurement of the batch, as `standardised` gives them.
    faults
        (S,) those of the declared stereo: of one atom for a centre, of two for a double bond.
    """
    topology = batch.topology.to("cpu")
    n_poses = batch.positions.shape[2]
    columns: dict[str, Tensor] = {}
    for term in terms:
        if term.observations.kind in _DESCRIBED:
            columns |= dict(_of_kind(term, topology, n_poses))
    heavy = [poses.structures[0].mol.GetNumHeavyAtoms() for poses in batch.molecules]
    columns["cis amide"] = _cis_amides(batch)
    columns["heavy atoms"] = torch.tensor(heavy).log()[:, None].expand(-1, n_poses)
    rows = torch.stack([columns[name].flatten() for name in DEFECT_FEATURES[: -len(_OTHERS)]], dim=1)
    centres = [sum(len(fault.atoms) == 1 for fault in listed) for listed in faults]
    double_bonds = [sum(len(fault.atoms) == 2 for fault in listed) for listed in faults]
    columns["centres not as declared"] = torch.tensor(centres).log1p()
    columns["double bonds not as declared"] = torch.tensor(double_bonds).log1p()
    others = torch.stack([columns[name].flatten().to(rows) for name in _OTHERS], dim=1)
    return torch.cat([rows, others], dim=1).float()


def _of_kind(term: Standardised, topology: Topology, n_poses: int) -> Iterator[tuple[str, Tensor]]:
    """Give what is said of one kind of term, each (G, C)."""
    kind, atoms = term.observations.kind, term.observations.atoms
    off = term.sharp.nan_to_num(nan=LARGEST).clamp(max=LARGEST).log1p()
    mean = term.z.abs().nan_to_num(nan=LARGEST).clamp(max=LARGEST)
    counted = term.counted()
    above = term.observations.given >= term.expected
    signed = torch.where(above, off, -off)
    flatter = torch.where(term.observations.given.abs() < term.expected.abs(), off, -off)
    aromatic = topology.atom_features[_AROMATIC_FEATURE].bool()
    parts = _by_molecule(term.observations.molecule, topology.n_molecules)

    found: dict[str, list[Tensor]] = {}
    for rows in parts:
        largest = off[rows].topk(min(2, len(rows)), dim=0).values
        found.setdefault(f"{kind.name} worst", []).append(_row(largest, 0, n_poses))
        found.setdefault(f"{kind.name} second", []).append(_row(largest, 1, n_poses))
        found.setdefault(f"{kind.name} mean", []).append(_mean_counted(mean[rows], counted[rows]).log1p())
        if kind in _WORST_SIGNED:
            found.setdefault(_WORST_SIGNED[kind], []).append(_of_worst(signed[rows], n_poses))
        if kind in _MEAN_SIGNED:
            lengths = torch.where(above, mean, -mean)[rows].clamp(-DRIFT_CUT, DRIFT_CUT)
            found.setdefault(_MEAN_SIGNED[kind], []).append(_mean(lengths, n_poses))
        if kind is RING:
            found.setdefault("ring flatter", []).append(_of_worst(flatter[rows], n_poses))
            flattest = flatter[rows].topk(min(FLAT_TERMS, len(rows)), dim=0).values
            found.setdefault("rings flatter", []).append(_mean(flattest, n_poses))
        if kind is PLANE:
            flat = rows[aromatic[atoms[1, rows]]]
            largest = off[flat].topk(min(1, len(flat)), dim=0).values
            found.setdefault("aromatic plane", []).append(_row(largest, 0, n_poses))
    for name, values in found.items():
        yield name, torch.stack(values)


def _by_molecule(molecule: Tensor, n_molecules: int) -> Sequence[Tensor]:
    counts = torch.bincount(molecule, minlength=n_molecules)
    return molecule.argsort(stable=True).split(counts.tolist())


def _row(values: Tensor, place: int, n_poses: int) -> Tensor:
    return values[place] if len(values) > place else values.new_zeros(n_poses)


def _mean(values: Tensor, n_poses: int) -> Tensor:
    return values.mean(0) if len(values) else values.new_zeros(n_poses)


def _mean_counted(values: Tensor, counted: Tensor) -> Tensor:
    """Mean of the terms that each pose has, of (T, C); 0 where it has none."""
    return (values * counted).sum(0) / counted.sum(0).clamp(min=1)


def _of_worst(signed: Tensor, n_poses: int) -> Tensor:
    """Return the value that is furthest from 0 in each column."""
    if not len(signed):
        return signed.new_zeros(n_poses)
    return signed.gather(0, signed.abs().argmax(0, keepdim=True))[0]


def _cis_amides(batch: Batch) -> Tensor:
    """Give how cis the most cis secondary amide outside rings is, (G, C), from 0 for trans to 1."""
    x = batch.positions.cpu()
    found = x.new_zeros((len(batch.molecules), x.shape[2]))
    start = 0
    for place, poses in enumerate(batch.molecules):
        mol = poses.structures[0].mol
        torsions = [(a, c, n, b) for a, c, _, n, b in mol.GetSubstructMatches(_AMIDE)]
        if torsions:
            index = torch.tensor(torsions).T + start
            found[place] = ((1 + geometry.torsion_angle(x, index).cos()) / 2).amax(0)
        start += mol.GetNumAtoms()
    return found
