"""What the learned energy does to structures: how far its minima are from MMFF94's, and how it orders them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import click
import torch
from rdkit import Chem
from torch import Tensor

from molebm.chem.graph import topology_from_mol
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import LearnedModel
from molebm.parametrise import mmff
from molebm.topology import concatenate
from molebm.training.evaluation import agreement, distinct, rank_correlation, relax, superposed_rmsd
from molebm.training.shards import Reference

MOLECULES_AT_ONCE = 32
SAME_ENERGY = 0.05  # kcal/mol, within which two minima count as one conformer
FEWEST_CONFORMERS = 4  # that have an order worth comparing
REPRODUCED = 0.02  # kcal/mol, to which the stored energies must be found again
TERM_TABLES = ("atomic_numbers", "bonds", "angles", "torsions", "impropers", "pairs")


def size_batches(references: Sequence[Reference]) -> list[list[Reference]]:
    """Put molecules of similar size together, which descend at a similar pace."""
    by_size = sorted(references, key=lambda r: r.topology.n_atoms)
    return [by_size[start : start + MOLECULES_AT_ONCE] for start in range(0, len(by_size), MOLECULES_AT_ONCE)]


def structures(model: LearnedModel, batches: Iterable[list[Reference]], variant: str) -> dict[str, Any]:
    """Relax the stored minima in the learned energy and then in MMFF94; order conformers by either energy."""
    per_molecule: list[dict[str, float]] = []
    rankings: list[tuple[Tensor, Tensor]] = []
    for batch in batches:
        for row, ranking in _relaxed(model, batch, variant):
            per_molecule.append(row)
            rankings.append(ranking)
    found = {key: torch.tensor([row[key] for row in per_molecule]) for key in per_molecule[0]}
    ranked = [pair for pair in rankings if len(pair[0]) >= FEWEST_CONFORMERS]
    order = torch.stack([rank_correlation(*pair) for pair in ranked])
    compared = [agreement(learned[None], reference[None]) for learned, reference in ranked]
    return {
        "starts": "minima of the reference",
        "n_molecules": len(per_molecule),
        "n_conformers": sum(row["n"] for row in per_molecule),
        "converged": float(found["converged"].mean()),
        "same_conformer": float(found["same"].mean()),
        **{key: median(found[key]) for key in ("excess", "rmsd", "heavy_rmsd")},
        **{f"{key}_p90": quantile(found[key], 0.9) for key in ("excess", "rmsd", "heavy_rmsd")},
        "n_ranked": len(ranked),
        "n_conformers_ranked": sum(len(pair[0]) for pair in ranked),
        "apart": SAME_ENERGY,
        "spearman": median(order),
        "spearman_p10": quantile(order, 0.1),
        "conformer_rmse": median(torch.cat([found.rmse for found in compared])),
        "conformer_spread": median(torch.cat([found.spread for found in compared])),
    }


def _relaxed(
    model: LearnedModel, batch: list[Reference], variant: str
) -> Iterator[tuple[dict[str, float], tuple[Tensor, Tensor]]]:
    """Yield, for each molecule, medians over its conformers, and the energies of its distinct conformers."""
    topology = concatenate([r.topology for r in batch])
    reference_fn = _mmff94(batch, variant)
    starts = torch.cat([r.minima for r in batch], dim=1)
    found = relax(model.energy(topology), reference_fn, topology, starts)
    heavy = (topology.atomic_numbers > 1).double()
    ends = found.learned_positions, found.reference_positions
    columns = {
        "excess": found.excess / topology.atoms_per_molecule()[:, None],
        "rmsd": superposed_rmsd(topology, *ends),
        "heavy_rmsd": superposed_rmsd(topology, *ends, weights=heavy),
    }
    home = torch.stack([r.minima_energies for r in batch])
    same = (found.reference - home).abs() < SAME_ENERGY
    for g in range(len(batch)):
        sound = found.converged[g]
        row = {name: median(column[g][sound]) for name, column in columns.items()}
        row |= {
            "n": int(sound.sum()),
            "converged": float(sound.double().mean()),
            "same": float(same[g].double().mean()),
        }
        learned, reference = found.learned[g][sound], found.reference[g][sound]
        chosen = distinct(reference, SAME_ENERGY)
        yield row, (learned[chosen], reference[chosen])


def _mmff94(batch: list[Reference], variant: str) -> MechanicalEnergy:
    """Look up the reference energy again, and see that it is the one that made the samples."""
    mols = [Chem.AddHs(Chem.MolFromSmiles(r.smiles)) for r in batch]
    for reference, mol in zip(batch, mols, strict=True):
        again = topology_from_mol(mol)
        if not all(torch.equal(getattr(again, name), getattr(reference.topology, name)) for name in TERM_TABLES):
            raise click.ClickException(f"the atoms of {reference.smiles} are not in the order of its SMILES")
    topology = concatenate([r.topology for r in batch])
    energy_fn = MechanicalEnergy(topology, mmff(variant)(mols, topology))
    energies = energy_fn.energy_and_forces(torch.cat([r.minima for r in batch], dim=1)).energy
    apart = (energies - torch.stack([r.minima_energies for r in batch])).abs().amax(1)
    if float(apart.max()) > REPRODUCED:
        worst = batch[int(apart.argmax())]
        raise click.ClickException(f"{variant} gives the minima of {worst.smiles} other energies than are stored")
    return energy_fn


def median(values: Tensor) -> float:
    """Median of what is a number."""
    return quantile(values, 0.5)


def quantile(values: Tensor, q: float) -> float:
    """Quantile of what is a number; no number where nothing is."""
    return float(values.double().nanquantile(q)) if len(values) else math.nan
