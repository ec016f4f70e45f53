"""Hold the kernel against RDKit's MMFF94 and MMFF94s, term by term, and against the published energies.

DATA_DIR holds the MMFF94 validation suite (mmff94/MMFF94[s]_{dative,hypervalent}.mol2 and MMFF94[s].energies)
and a list of drug-like molecules (smiles/chembl_10k.smi). Ends with a non-zero code above 1e-3 kcal/mol.
"""

from __future__ import annotations

import random
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click
import numpy as np
import torch
from rdkit import Chem, RDLogger
from rdkit.Chem import rdDistGeom
from torch import Tensor

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import ForceFieldParameterError, MoleculeError
from molebm.forcefield import kernel
from molebm.forcefield.kernel import TermEnergies
from molebm.references.mmff import mmff_parameters
from molebm.references.rdkit_mmff import rdkit_mmff

TOLERANCE = 1e-3  # kcal/mol
NOISE = (0.0, 0.05, 0.1, 0.2)  # Å, one conformer each
SHAKE = 0.02  # Å, for ETKDG leaves a C-O-C in a hundred straight, where torsions have no value to agree on
EMBEDDING_SECONDS = 5
MOST_ATOMS = 150
BOND_TYPES = {
    "1": Chem.BondType.SINGLE,
    "2": Chem.BondType.DOUBLE,
    "3": Chem.BondType.TRIPLE,
    "am": Chem.BondType.SINGLE,
}


class Entry(NamedTuple):
    """A molecule with its coordinates, and its published energy if there is one."""

    name: str
    mol: Chem.Mol
    published: float | None


class UnreadableError(ValueError):
    """The entry cannot be made a molecule."""


@click.command()
@click.argument("data_dir", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--n-smiles", default=1000, show_default=True, help="Molecules to take from the list of SMILES.")
@click.option("--seed", default=0, show_default=True)
def main(data_dir: Path, n_smiles: int, seed: int) -> None:
    """Print a table of the largest differences of every kind of term, kcal/mol."""
    torch.set_num_threads(1)
    RDLogger.DisableLog("rdApp.*")
    columns = [*TermEnergies._fields, "total"]
    click.echo(f"| set | molecules | skipped | {' | '.join(columns)} | published: molecules, max, within {TOLERANCE} |")
    click.echo("|---|" + "--:|" * (len(columns) + 3))
    worst = 0.0
    for label, variant, entries in sets(data_dir, n_smiles):
        generator = torch.Generator().manual_seed(seed)
        largest = torch.zeros(len(columns), dtype=torch.float64)
        published, skipped, n_molecules = [], Counter(), 0
        for entry in entries:
            if isinstance(entry, str):
                skipped[entry] += 1
                continue
            try:
                ours, theirs = both(entry.mol, variant, generator)
            except ForceFieldParameterError:
                skipped["without MMFF types"] += 1
                continue
            except MoleculeError:
                skipped["of several fragments"] += 1
                continue
            n_molecules += 1
            largest = torch.maximum(largest, (ours - theirs).abs().amax(1))
            if entry.published is not None:
                published.append(abs(float(ours[-1, 0]) - entry.published))
        differences = " | ".join(f"{value:.0e}" for value in largest.tolist())
        within = sum(difference <= TOLERANCE for difference in published)
        known = f"{len(published)}, {max(published):.1e}, {within}" if published else ""
        why = ", ".join(f"{count} {reason}" for reason, count in skipped.items()) or "0"
        click.echo(f"| {label} | {n_molecules} | {why} | {differences} | {known} |")
        worst = max(worst, float(largest.max()))
    if not worst <= TOLERANCE:
        click.echo(f"the kernel and RDKit differ by {worst:.3g} kcal/mol, more than {TOLERANCE}", err=True)
        sys.exit(1)


def both(mol: Chem.Mol, variant: str, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Evaluate the kernel and RDKit: terms and total of conformers with more and more noise, (8, C) each."""
    topology = topology_from_mol(mol)
    parameters = mmff_parameters(mol, topology, variant)
    start = positions_from_mol(mol, torch.float64)
    noise = torch.randn(*start.shape[:2], len(NOISE), generator=generator, dtype=start.dtype)
    x = start + noise * torch.tensor(NOISE, dtype=start.dtype)
    terms = kernel.per_molecule(topology, kernel.per_term(topology, parameters, x))
    ours = [*terms, kernel.energy(topology, parameters, x)]
    theirs = [
        *(rdkit_mmff(mol, variant, terms=[term])(x) for term in TermEnergies._fields),
        rdkit_mmff(mol, variant)(x),
    ]
    return torch.cat(ours), torch.cat(theirs)


def sets(data_dir: Path, n_smiles: int) -> Iterator[tuple[str, str, Iterator[Entry | str]]]:
    """List the sets, each with the variant of MMFF94 to compare."""
    for variant in ("MMFF94", "MMFF94s"):
        energies = published_energies(data_dir / "mmff94" / f"{variant}.energies")
        for drawing in ("dative", "hypervalent"):
            path = data_dir / "mmff94" / f"{variant}_{drawing}.mol2"
            yield f"{variant}, {drawing}", variant, validation_suite(path, energies)
    path = data_dir / "smiles" / "chembl_10k.smi"
    molecules = list(embedded(path, n_smiles))
    for variant in ("MMFF94", "MMFF94s"):
        yield f"{variant}, {path.stem}", variant, iter(molecules)


def published_energies(path: Path) -> dict[str, float]:
    """Read the first energy on each line that has one."""
    found = {}
    for line in path.read_text().splitlines():
        match line.split():
            case [name, energy, *_] if energy.lstrip("-").replace(".", "", 1).isdigit():
                found[name] = float(energy)
    return found


def validation_suite(path: Path, energies: dict[str, float]) -> Iterator[Entry | str]:
    """Read the molecules of a mol2 file, or why one could not be read."""
    for block in path.read_text().split("@<TRIPOS>MOLECULE\n")[1:]:
        try:
            name, mol = mol_from_mol2(block.splitlines())
        except (UnreadableError, Chem.MolSanitizeException):
            yield "unreadable"
        else:
            yield Entry(name, mol, energies.get(name))


def mol_from_mol2(lines: list[str]) -> tuple[str, Chem.Mol]:
    """Read one molecule of the suite, whose element symbols, amide bonds and lack of charges RDKit does not expect."""
    n_atoms, n_bonds = (int(field) for field in lines[1].split()[:2])
    atoms = [line.split() for line in lines[lines.index("@<TRIPOS>ATOM") + 1 :][:n_atoms]]
    bonds = [line.split() for line in lines[lines.index("@<TRIPOS>BOND") + 1 :][:n_bonds]] if n_bonds else []
    mol, conformer = Chem.RWMol(), Chem.Conformer(n_atoms)
    for index, (_, _, x, y, z, atom_type, *_) in enumerate(atoms):
        mol.AddAtom(Chem.Atom(atom_type.split(".")[0].capitalize()))
        conformer.SetAtomPosition(index, (float(x), float(y), float(z)))
    for _, first, second, order, *_ in bonds:
        mol.AddBond(int(first) - 1, int(second) - 1, BOND_TYPES[order])
    mol.AddConformer(conformer)
    partial_charges = [float(fields[8]) for fields in atoms]
    for atom, partial_charge in zip(mol.GetAtoms(), partial_charges, strict=True):
        atom.SetNoImplicit(True)
        atom.SetFormalCharge(formal_charge(atom, partial_charge))
    Chem.SanitizeMol(mol)
    if Chem.GetFormalCharge(mol) != round(sum(partial_charges)):
        raise UnreadableError(f"{lines[0]}: formal charges do not sum to {sum(partial_charges):.1f}")
    return lines[0].strip(), mol.GetMol()


def formal_charge(atom: Chem.Atom, partial_charge: float) -> int:
    """Tell the formal charge from the bonds that are drawn."""
    valence, degree = sum(int(bond.GetBondTypeAsDouble()) for bond in atom.GetBonds()), atom.GetDegree()
    match atom.GetSymbol(), degree:
        case _, 0:
            return round(partial_charge)
        case "N", _:
            return valence - 3 if valence < 5 else 0
        case "O", _:
            return valence - 2
        case "C", 1:
            return valence - 4
        case "S", 1 | 2 | 3 | 4:
            return {1: valence - 2, 2: valence % 2, 3: 4 - valence if valence < 6 else 0, 4: 6 - valence}[degree]
        case "P", 4:
            return 5 - valence
        case "Cl", 4:
            return 7 - valence
    return 0


def embedded(path: Path, n_molecules: int) -> Iterator[Entry | str]:
    """Embed as many molecules of a shuffled list of SMILES, and say why others were left out."""
    lines = path.read_text().splitlines()
    random.Random(0).shuffle(lines)
    generator = np.random.default_rng(0)
    settings = rdDistGeom.ETKDGv3()
    settings.randomSeed = 1
    settings.timeout = EMBEDDING_SECONDS
    for line in lines:
        smiles, name = line.split()[:2]
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        if mol.GetNumAtoms() > MOST_ATOMS:
            yield f"of more than {MOST_ATOMS} atoms"
        elif rdDistGeom.EmbedMolecule(mol, settings) < 0:
            yield "not embedded"
        else:
            shake(mol.GetConformer(), generator)
            yield Entry(name, mol, None)
            n_molecules -= 1
        if n_molecules == 0:
            return


def shake(conformer: Chem.Conformer, generator: np.random.Generator) -> None:
    """Move every atom a little."""
    positions = conformer.GetPositions()
    conformer.SetPositions(positions + generator.normal(scale=SHAKE, size=positions.shape))


if __name__ == "__main__":
    main()
