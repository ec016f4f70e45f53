"""How much of CREST's ensembles of macrocycles and peptides conformers from a SMILES cover, molebm and its peers.

    python workflows/benchmarks/macrocycle_coverage.py FOLDER --conformers 200

FOLDER holds SMILES.txt (tab-separated, with columns molecule_id and SMILES) and for each molecule an ensemble as
molecule_id.xyz, the energy in Hartree in the comment of each frame. References are the frames within some kcal/mol of
the lowest, thinned evenly to a number, and the SMILES has the stereo of the lowest. COV-R is the part of the references
that have a generated conformer within a distance, AMR-R the mean over the references of the distance to the nearest:
RMSD of heavy atoms, equivalent ones exchanged. Each method runs on one core. CONFORGE needs CDPKit ('pip install
cdpkit').

References
----------
Ganea et al., GeoMol, NeurIPS 34, 13757 (2021), for COV-R and AMR-R.
"""

from __future__ import annotations

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from conformer_measures import positions, rmsd_to, table, wrong_stereo
from conformer_peers import (
    CONFORGE,
    ETKDG_MMFF,
    METHODS,
    MOLEBM,
    Made,
    cache_path,
    conforge,
    embedded,
    generated,
    generation_settings,
    read_figures,
    require_cdpkit,
    write_figures,
)
from numpy.typing import NDArray
from rdkit import Chem

HARTREE: Final = 627.5094740631  # kcal/mol
NEAR: Final = (1.0, 1.5)  # Å
BONDED: Final = 1.3  # times the sum of the covalent radii


class Macrocycle(NamedTuple):
    """A molecule and its reference ensemble."""

    name: str
    smiles: str  # with the stereo of the lowest frame
    as_listed: bool  # whether SMILES.txt says the same
    frames: NDArray[np.float64]  # (F, n, 3) Å, the heavy atoms in the order of the SMILES
    n_all: int  # frames of the file
    n_other_stereo: int  # of F, which no conformer of the SMILES can cover


class Figures(NamedTuple):
    """What is kept of one method's conformers of one molecule."""

    coverage: list[float]  # fraction of the references within each of NEAR
    amr: float  # Å; infinite where the method failed
    made: int
    wrong_stereo: int
    seconds: float
    reason: str


def main() -> None:
    options = _options()
    results: dict[str, list[Figures]] = {METHODS[m]: [] for m in METHODS if m in options.methods}
    macrocycles = list(_macrocycles(options))
    for macrocycle in macrocycles:
        for method, found in results.items():
            found.append(_figures(method, macrocycle, options))
            print(f"{macrocycle.name}: {method}, {found[-1].seconds:.1f} s", file=sys.stderr, flush=True)
    print("\n\n".join(_report(results, macrocycles, options)))


def _macrocycles(options: argparse.Namespace) -> Iterator[Macrocycle]:
    listing = options.folder / "SMILES.txt"
    if not listing.is_file():
        raise SystemExit(f"{listing} is missing; give the folder that holds it and the XYZ files")
    with listing.open(newline="") as stream:
        for row in csv.DictReader(stream, delimiter="\t"):
            name = row["molecule_id"]
            if options.only and name not in options.only:
                continue
            yield _macrocycle(name, Chem.CanonSmiles(row["SMILES"]), options)


def _macrocycle(name: str, listed: str, options: argparse.Namespace) -> Macrocycle:
    elements, frames, energies = _read_xyz(options.folder / f"{name}.xyz")
    try:
        smiles = _spatial_smiles(_placed(listed, elements, frames, [int(energies.argmin())]))
        low = np.flatnonzero(energies <= energies.min() + options.window)
        chosen = low[np.unique(np.linspace(0, len(low) - 1, min(options.frames, len(low))).round().astype(int))]
        mol = _placed(smiles, elements, frames, chosen.tolist())
    except ValueError as error:
        raise SystemExit(f"{name}: {error}") from None
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    other = int(wrong_stereo(smiles, mol).sum())
    return Macrocycle(name, smiles, smiles == listed, positions(mol)[:, heavy], len(energies), other)


def _placed(smiles: str, elements: Sequence[str], frames: NDArray[np.float64], chosen: Sequence[int]) -> Chem.Mol:
    """Give the molecule of a SMILES, with hydrogens, the chosen of frames (F, N, 3) Å as conformers."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    match = _graph(elements, frames[chosen[0]]).GetSubstructMatch(_bare(mol), useChirality=False)
    if len(match) != len(elements) or len(match) != mol.GetNumAtoms():
        raise ValueError("the atoms of the XYZ file are not joined as its SMILES says; correct one of them")
    for frame in frames[chosen][:, np.array(match)]:
        conformer = Chem.Conformer(mol.GetNumAtoms())
        conformer.SetPositions(np.ascontiguousarray(frame))
        mol.AddConformer(conformer, assignId=True)
    return mol


def _spatial_smiles(mol: Chem.Mol) -> str:
    """Write the canonical SMILES with the stereo that the coordinates have."""
    Chem.AssignStereochemistryFrom3D(mol)
    return Chem.CanonSmiles(Chem.MolToSmiles(Chem.RemoveHs(mol)))


def _read_xyz(path: Path) -> tuple[list[str], NDArray[np.float64], NDArray[np.float64]]:
    """Read elements, frames (F, N, 3) Å and energies (F,) kcal/mol."""
    lines = path.read_text().split("\n")
    n_atoms = int(lines[0])
    starts = [start for start in range(0, len(lines) - n_atoms, n_atoms + 2) if lines[start].strip()]
    blocks = [[line.split() for line in lines[start + 2 : start + 2 + n_atoms]] for start in starts]
    elements = [words[0] for words in blocks[0]]
    frames = np.array([[words[1:4] for words in block] for block in blocks], dtype=np.float64)
    energies = HARTREE * np.array([float(lines[start + 1].split()[0]) for start in starts])
    return elements, frames, energies


def _graph(elements: Sequence[str], frame: NDArray[np.float64]) -> Chem.Mol:
    """Join atoms that are near enough by single bonds."""
    radii = Chem.GetPeriodicTable()
    mol = Chem.RWMol()
    for element in elements:
        mol.AddAtom(Chem.Atom(element))
    reach = np.array([radii.GetRcovalent(element) for element in elements])
    distances = np.linalg.norm(frame[:, None] - frame[None], axis=-1)
    for i, j in np.argwhere(np.triu(distances < BONDED * (reach[:, None] + reach), k=1)).tolist():
        mol.AddBond(i, j, Chem.BondType.SINGLE)
    return _without_valence(mol)


def _bare(mol: Chem.Mol) -> Chem.Mol:
    """Leave of a molecule its elements and which of them are joined."""
    bare = Chem.RWMol()
    for atom in mol.GetAtoms():
        bare.AddAtom(Chem.Atom(atom.GetAtomicNum()))
    for bond in mol.GetBonds():
        bare.AddBond(bond.GetBeginAtomIdx(), bond.GetEndAtomIdx(), Chem.BondType.SINGLE)
    return _without_valence(bare)


def _without_valence(mol: Chem.RWMol) -> Chem.Mol:
    for atom in mol.GetAtoms():
        atom.SetNoImplicit(True)
    mol.UpdatePropertyCache(strict=False)
    Chem.FastFindRings(mol)
    return mol.GetMol()


def _figures(method: str, macrocycle: Macrocycle, options: argparse.Namespace) -> Figures:
    if method == MOLEBM:
        settings = generation_settings(options.set, n_conformers=options.conformers, seed=options.seed)
        return _measured(macrocycle, next(iter(generated([macrocycle.smiles], settings))))
    decisive = (macrocycle.name, macrocycle.smiles, options.seed, options.window, options.frames)
    path = cache_path(options.cache, method, options.conformers, decisive, options.time_limit)
    kept = read_figures(path)
    if kept is None:
        if method == CONFORGE:
            made = conforge(macrocycle.smiles, options.conformers, time_limit=options.time_limit)
        else:
            relax = method == ETKDG_MMFF
            made = embedded(macrocycle.smiles, [options.conformers], seed=options.seed, relax=relax)[
                method, options.conformers
            ]
        kept = _measured(macrocycle, made)._asdict()
        write_figures(path, kept)
    return Figures(**kept)


def _measured(macrocycle: Macrocycle, made: Made) -> Figures:
    if made.reason:
        return Figures([0.0] * len(NEAR), np.inf, 0, 0, made.seconds, made.reason)
    nearest = rmsd_to(macrocycle.frames, made.mol).min(axis=1)
    return Figures(
        [float((nearest <= limit).mean()) for limit in NEAR],
        float(nearest.mean()),
        made.mol.GetNumConformers(),
        int(wrong_stereo(macrocycle.smiles, made.mol).sum()),
        made.seconds,
        "",
    )


def _report(
    results: dict[str, list[Figures]], macrocycles: Sequence[Macrocycle], options: argparse.Namespace
) -> Iterator[str]:
    rows = []
    for index, macrocycle in enumerate(macrocycles):
        label = f"{macrocycle.name} ({len(macrocycle.frames)} of {macrocycle.n_all})"
        rows += [[label, method, *_row(found[index])] for method, found in results.items()]
    for label, average in (("mean", np.mean), ("median", np.median)):
        for method, found in results.items():
            within = [100 * average([f.coverage[k] for f in found]) for k in range(len(NEAR))]
            amr = average([f.amr for f in found])
            total = [average([f.made for f in found]), average([f.seconds for f in found])]
            wrong = sum(f.wrong_stereo for f in found)
            cells = [f"{within[0]:.1f}", f"{within[1]:.1f}", f"{amr:.2f}", f"{total[0]:.0f}", f"{wrong}"]
            rows.append([f"**{label}**", method, *cells, f"{total[1]:.1f}"])
    near = [f"COV-R {limit} Å, %" for limit in NEAR]
    head = ["molecule (references of frames)", "method", *near, "AMR-R, Å", "conformers", "wrong stereo", "core-s"]
    yield table(head, rows, texts=2)
    failed = [
        f"- {method}: {m.name}: {f.reason}"
        for method, found in results.items()
        for m, f in zip(macrocycles, found, strict=True)
        if f.reason
    ]
    if failed:
        yield "Failed:\n\n" + "\n".join(failed)
    strange = [f"{m.name} {m.n_other_stereo}" for m in macrocycles if m.n_other_stereo]
    unlisted = [m.name for m in macrocycles if not m.as_listed]
    yield (
        f"At most {options.conformers} conformers. References are the frames within {options.window:g} kcal/mol of "
        f"the lowest, at most {options.frames} evenly spaced ones. The SMILES has the stereo "
        f"of the lowest frame, which SMILES.txt gives otherwise for {', '.join(unlisted) or 'none'}; frames with "
        f"another: {', '.join(strange) or 'none'}. A method that fails covers nothing, and its AMR-R is infinite. "
        f"CONFORGE has {options.time_limit:g} s for each molecule; ETKDGv3 uses its torsions of macrocycles, which is "
        f"its default. molebm: {' '.join(options.set) or 'default settings'}."
    )


def _row(figures: Figures) -> list[str]:
    within = [f"{100 * fraction:.1f}" for fraction in figures.coverage]
    return [
        *within,
        f"{figures.amr:.2f}",
        str(figures.made),
        str(figures.wrong_stereo),
        f"{figures.seconds:.1f}",
    ]


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with SMILES.txt and the XYZ files")
    parser.add_argument("--only", nargs="+", metavar="ID", help="molecules; all if left out")
    parser.add_argument("--conformers", type=int, default=200, help="asked of each method")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=["etkdg-mmff", "conforge", "molebm"])
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="of molebm's settings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--window", type=float, default=6.0, help="kcal/mol above the lowest frame")
    parser.add_argument("--frames", type=int, default=500, help="references of a molecule, at most")
    parser.add_argument("--time-limit", type=float, default=60, help="s for each molecule, of CONFORGE")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where the peers' figures are kept")
    options = parser.parse_args()
    if "conforge" in options.methods:
        require_cdpkit()
    return options


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
