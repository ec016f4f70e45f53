"""How close the learned energy is to MMFF94 on scaffolds it was not trained on, and whether it holds molecules.

    python workflows/benchmarks/learned_energy.py REFERENCES --json figures.json --stability 1000

REFERENCES is a folder that `molebm prepare` made. Prints Markdown tables, each with what was aimed at in its last
column; progress goes to the standard error. A nanosecond of dynamics costs far more than all else.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click
import rdkit
import torch
from functional_groups import FUNCTIONAL_GROUPS, functional_groups
from learned_dynamics import TEMPERATURE, reweighting, stability
from learned_structures import median, quantile, size_batches, structures
from learned_tables import tables
from rdkit import Chem
from small_molecules import SMALL_MOLECULES
from torch import Tensor

import molebm
from molebm.models.checkpoint import SHIPPED, LearnedModel, load_model, write_json
from molebm.preparation.scaffolds import scaffold_split
from molebm.topology import ELEMENTS
from molebm.training.evaluation import Agreement, ForceErrors, evaluate, evaluate_forces
from molebm.training.shards import Reference, checksum, read_manifest, read_references

SYMBOLS = dict(zip(ELEMENTS, ["H", "C", "N", "O", "F", "Si", "P", "S", "Cl", "Br", "I"], strict=True))
SAMPLES = {"300 K": 300.0, "500 K": 500.0, "800 K": 800.0, "300–800 K": None}
SUBSETS_AT = 500.0  # K
SMALL = 15  # atoms, at most, of molecules whose samples are reweighted


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


def _timed(what: str, measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
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
                "pearson": median(found.pearson),
                "pearson_p10": quantile(found.pearson, 0.1),
                "slope": median(found.slope),
                "rmse": median(found.rmse),
                "spread": median(found.spread),
            }
            for label, found in energies.items()
        ],
        "forces": [
            {
                "samples": label,
                "rmse": median(found.rmse),
                "rmse_p90": quantile(found.rmse, 0.9),
                "size": median(found.size),
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
            "pearson": median(energies.pearson[chosen]),
            "slope": median(energies.slope[chosen]),
            "rmse": median(energies.rmse[chosen]),
            "force_rmse": median(forces.rmse[chosen]),
        }
    return row


def _structures(model: LearnedModel, references: list[Reference], manifest: dict[str, Any]) -> dict[str, Any]:
    """Relax the stored minima in the learned energy and then in MMFF94; order conformers by either energy."""
    variant = manifest["settings"].get("variant", "MMFF94")
    batches = size_batches(references)
    with click.progressbar(batches, label="minima", file=sys.stderr) as shown:
        return structures(model, shown, variant)


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
        "median": median(found),
        "p10": quantile(found, 0.1),
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


if __name__ == "__main__":
    main()
