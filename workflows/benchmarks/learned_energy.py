"""How close the learned energy is to MMFF94 on scaffolds it was not trained on, and whether it holds molecules.

    python workflows/benchmarks/learned_energy.py REFERENCES --json figures.json --stability 1000

REFERENCES is a folder that `molebm prepare` made. Prints Markdown tables, each with what was aimed at in its last
column; progress goes to the standard error. A nanosecond of dynamics costs far more than all else.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import rdkit
import torch
from functional_groups import FUNCTIONAL_GROUPS, functional_groups
from learned_dynamics import TEMPERATURE, reweighting, stability
from learned_tables import tables
from rdkit import Chem
from small_molecules import SMALL_MOLECULES
from torch import Tensor

import molebm
from molebm.chem.graph import topology_from_mol
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.models.checkpoint import SHIPPED, LearnedModel, load_model, write_json
from molebm.parametrise import mmff
from molebm.preparation.scaffolds import scaffold_split
from molebm.topology import ELEMENTS, concatenate
from molebm.training.evaluation import (
    Agreement,
    ForceErrors,
    agreement,
    distinct,
    evaluate,
    evaluate_forces,
    rank_correlation,
    relax,
    superposed_rmsd,
)
from molebm.training.shards import Reference, checksum, read_manifest, read_references

SYMBOLS = dict(zip(ELEMENTS, ["H", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I"], strict=True))
SAMPLES = {"300 K": 300.0, "500 K": 500.0, "800 K": 800.0, "300–800 K": None}
SUBSETS_AT = 500.0  # K
MOLECULES_AT_ONCE = 32
SMALL = 15  # atoms, at most, of molecules whose samples are reweighted
SAME_ENERGY = 0.05  # kcal/mol, within which two minima count as one conformer
FEWEST_CONFORMERS = 4  # that have an order worth comparing
TERM_TABLES = ("atomic_numbers", "bonds", "angles", "torsions", "impropers", "pairs")


@click.command()
@click.argument("references", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--model", type=click.Path(path_type=Path), default=None, help="A model file; the shipped one if left out."
)
@click.option("--split", default="test", show_default=True)
@click.option("--limit", type=int, default=None, help="Use the first so many molecules; all if left out.")
@click.option("--stability", "picoseconds", default=0.0, show_default=True, help="Dynamics at 300 K, ps; 0 for none.")
@click.option("--molecules", default=200, show_default=True, help="Molecules of the stability run.")
@click.option("--chains", default=4, show_default=True, help="Chains of each molecule in the stability run.")
@click.option("--json", "file", type=click.Path(path_type=Path), default=None, help="Write the figures there, too.")
def main(
    references: Path,
    model: Path | None,
    split: str,
    limit: int | None,
    picoseconds: float,
    molecules: int,
    chains: int,
    file: Path | None,
) -> None:
    """Measure, print the tables, and write the figures."""
    torch.set_num_threads(1)
    learned = load_model(model)
    manifest = read_manifest(references)
    unseen = list(read_references(references, split))[:limit]
    weights = (SHIPPED if model is None else model).with_suffix(".safetensors")
    sizes = torch.tensor([float(r.topology.n_atoms) for r in unseen])
    figures: dict[str, Any] = {
        "model": {"name": weights.stem, "sha256": checksum(weights)},
        "references": {
            "settings": manifest["settings"],
            "split": split,
            "n_molecules": len(unseen),
            "n_atoms_median": float(sizes.median()),
        },
        "versions": {
            "molebm": molebm.__version__,
            "torch": torch.__version__,
            "rdkit": rdkit.__version__,
            "python": platform.python_version(),
        },
    }
    figures |= _timed("energies and forces", lambda: _samples(learned, unseen))
    figures |= _timed("minima", lambda: {"structures": _structures(learned, unseen, manifest)})
    figures |= _timed("reweighting", lambda: {"reweighting": _reweighting(learned, unseen)})
    if picoseconds:
        held = lambda: {"stability": _stability(learned, unseen[:molecules], picoseconds, chains)}  # noqa: E731
        figures |= _timed("stability", held)
    if file is not None:
        write_json(file, figures)
    click.echo(tables(figures))


def _timed(what: str, measure: Any) -> dict[str, Any]:
    start = time.process_time()
    found = measure()
    click.echo(f"{what}: {time.process_time() - start:.0f} s of one core", err=True)
    return found


def _samples(model: LearnedModel, references: list[Reference]) -> dict[str, Any]:
    """Compare energies and forces over the stored samples, of all molecules and of subsets."""
    energies = {label: evaluate(model, references, temperature) for label, temperature in SAMPLES.items()}
    forces = {label: evaluate_forces(model, references, temperature) for label, temperature in SAMPLES.items()}
    at = next(label for label, temperature in SAMPLES.items() if temperature == SUBSETS_AT)
    mols = [Chem.MolFromSmiles(r.smiles) for r in references]
    groups = [functional_groups(mol) for mol in mols]

    def rows(subsets: dict[str, list[bool]]) -> list[dict[str, Any]]:
        return [_subset(name, torch.tensor(chosen), energies[at], forces[at]) for name, chosen in subsets.items()]

    elements = [set(r.topology.atomic_numbers.tolist()) for r in references]
    return {
        "energies": [
            {
                "samples": label,
                "pearson": _median(found.pearson),
                "pearson_p10": _quantile(found.pearson, 0.1),
                "slope": _median(found.slope),
                "rmse": _median(found.rmse),
                "spread": _median(found.spread),
            }
            for label, found in energies.items()
        ],
        "forces": [
            {
                "samples": label,
                "rmse": _median(found.rmse),
                "rmse_p90": _quantile(found.rmse, 0.9),
                "size": _median(found.size),
            }
            for label, found in forces.items()
        ],
        "elements": rows({symbol: [number in found for found in elements] for number, symbol in SYMBOLS.items()}),
        "charges": rows(_by_charge(mols)),
        "groups": rows({name: [name in found for found in groups] for name in FUNCTIONAL_GROUPS}),
    }


def _by_charge(mols: Sequence[Chem.Mol]) -> dict[str, list[bool]]:
    net = [Chem.GetFormalCharge(mol) for mol in mols]
    atoms = [{atom.GetFormalCharge() for atom in mol.GetAtoms()} for mol in mols]
    named = {f"net charge {charge:+d}": [n == charge for n in net] for charge in sorted({*net} - {0})}
    return {
        "no charged atom": [found == {0} for found in atoms],
        "charged atoms, net charge 0": [n == 0 and found != {0} for n, found in zip(net, atoms, strict=True)],
        **named,
        "an atom of charge +1": [1 in found for found in atoms],
        "an atom of charge -1": [-1 in found for found in atoms],
    }


def _subset(name: str, chosen: Tensor, energies: Agreement, forces: ForceErrors) -> dict[str, Any]:
    row: dict[str, Any] = {"name": name, "n_molecules": int(chosen.sum())}
    if chosen.any():
        row |= {
            "pearson": _median(energies.pearson[chosen]),
            "slope": _median(energies.slope[chosen]),
            "rmse": _median(energies.rmse[chosen]),
            "force_rmse": _median(forces.rmse[chosen]),
        }
    return row


def _structures(model: LearnedModel, references: list[Reference], manifest: dict[str, Any]) -> dict[str, Any]:
    """Relax the stored minima in the learned energy and then in MMFF94; order conformers by either energy."""
    by_size = sorted(references, key=lambda r: r.topology.n_atoms)
    batches = [by_size[start : start + MOLECULES_AT_ONCE] for start in range(0, len(by_size), MOLECULES_AT_ONCE)]
    per_molecule: list[dict[str, float]] = []
    rankings: list[tuple[Tensor, Tensor]] = []
    with click.progressbar(batches, label="minima", file=sys.stderr) as shown:
        for batch in shown:
            for row, ranking in _relaxed(model, batch, manifest["settings"].get("variant", "MMFF94")):
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
        **{key: _median(found[key]) for key in ("excess", "rmsd", "heavy_rmsd")},
        **{f"{key}_p90": _quantile(found[key], 0.9) for key in ("excess", "rmsd", "heavy_rmsd")},
        "n_ranked": len(ranked),
        "n_conformers_ranked": sum(len(pair[0]) for pair in ranked),
        "apart": SAME_ENERGY,
        "spearman": _median(order),
        "spearman_p10": _quantile(order, 0.1),
        "conformer_rmse": _median(torch.cat([found.rmse for found in compared])),
        "conformer_spread": _median(torch.cat([found.spread for found in compared])),
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
        row = {name: _median(column[g][sound]) for name, column in columns.items()}
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
    if float(apart.max()) > 0.01:
        worst = batch[int(apart.argmax())]
        raise click.ClickException(f"{variant} gives the minima of {worst.smiles} other energies than are stored")
    return energy_fn


def _reweighting(model: LearnedModel, references: list[Reference]) -> dict[str, Any]:
    """Reweight the samples of small molecules: those of the split, and well-known ones of scaffolds not trained on."""
    chosen = {r.smiles: r.name for r in references if r.topology.n_atoms <= SMALL}
    for name, smiles in SMALL_MOLECULES.items():
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        if mol.GetNumAtoms() <= SMALL and scaffold_split(mol) != "train":
            chosen.setdefault(Chem.MolToSmiles(Chem.RemoveHs(mol)), name)
    found = reweighting(model, list(chosen))
    return {
        "temperature": TEMPERATURE,
        "max_atoms": SMALL,
        "median": _median(found),
        "p10": _quantile(found, 0.1),
        "molecules": [
            {"name": name, "smiles": smiles, "fraction": value}
            for (smiles, name), value in zip(chosen.items(), found.tolist(), strict=True)
        ],
    }


def _stability(model: LearnedModel, references: list[Reference], picoseconds: float, n_chains: int) -> dict[str, Any]:
    n_whole = len(references)
    with click.progressbar(length=round(picoseconds), label="stability, ps", file=sys.stderr) as shown:
        for held in stability(model, references, picoseconds, n_chains):
            n_whole = int(held.whole.sum())
            shown.update(1)
    return {
        "temperature": TEMPERATURE,
        "picoseconds": picoseconds,
        "n_chains": n_chains,
        "n_molecules": len(references),
        "n_whole": n_whole,
    }


def _share(of: Tensor) -> float:
    return float(of.double().mean())


def _median(values: Tensor) -> float:
    return _quantile(values, 0.5)


def _quantile(values: Tensor, q: float) -> float:
    return float(values.double().nanquantile(q))


if __name__ == "__main__":
    main()
