"""How near conformers made from a SMILES come to the crystal structures of bound ligands, molebm and its peers.

    python workflows/benchmarks/crystal_recall.py FOLDER --sizes 50 250
    python workflows/benchmarks/crystal_recall.py FOLDER --methods molebm --set rmsd=0.7 --molecules 50

FOLDER holds pubLigsNeutralGoodDensity.sdf and pubLigsChargedGoodDensity.sdf, ligands of the Protein Data Bank with
good electron density. A method sees the isomeric SMILES alone, its stereo taken from the crystal: no coordinates, and
not the order of the atoms. Each runs on one core; its processor time is measured for each molecule, and what is
measured of its conformers is measured by the same code. CONFORGE needs CDPKit ('pip install cdpkit').

With --cache the figures of the peers, not their conformers, are kept from one run to the next.
"""

from __future__ import annotations

import argparse
import csv
import random
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import torch
from conformer_measures import heavy_graph, interval, n_distinct, rmsd_to, same_atoms, table, wrong_stereo
from conformer_peers import (
    CONFORGE,
    ETKDG,
    ETKDG_MMFF,
    METHODS,
    MMFF_STEPS,
    MOLEBM,
    Made,
    cache_path,
    conforge,
    embedded,
    generated,
    generation_settings,
    read_figures,
    require_cdpkit,
    versions,
    write_figures,
)
from rdkit import Chem, rdBase
from rdkit.Chem import rdMolAlign

FILES: Final = ("pubLigsNeutralGoodDensity.sdf", "pubLigsChargedGoodDensity.sdf")
NEAR: Final = (0.5, 1.0, 1.5, 2.0)  # Å
MAX_MATCHES: Final = 1000  # that RDKit tries in a check against it


class Ligand(NamedTuple):
    """A crystal structure, and the SMILES that methods are given."""

    name: str  # entry of the Protein Data Bank and residue
    smiles: str
    crystal: Chem.Mol  # without hydrogens
    heavy: np.ndarray  # (n, 3) Å, in the order of the SMILES


class Result(NamedTuple):
    """What is kept of one method's conformers of one ligand."""

    rmsd: list[float]  # Å, to the crystal, of each conformer
    seconds: float
    distinct: int
    wrong_stereo: int
    reason: str

    @property
    def best(self) -> float:
        return min(self.rmsd, default=np.inf)


Results = dict[tuple[str, int], dict[str, Result]]
"""By method and number of conformers asked, then by ligand."""


def main() -> None:
    options = _options()
    ligands = _chosen(list(_ligands(options.folder)), options)
    if options.verify:
        _verify(ligands[: options.verify])
    results: Results = {
        (METHODS[method], size): {} for size in options.sizes for method in METHODS if method in options.methods
    }
    for number, ligand in enumerate(ligands, start=1):
        _add_peers(results, ligand, options)
        _progress("peers", number, len(ligands))
    if "molebm" in options.methods:
        for size in options.sizes:
            _add_molebm(results, ligands, size, options)
    for size in options.sizes:
        at_size = {method: found for (method, n), found in results.items() if n == size}
        print(f"\n## At most {size} conformers\n\n" + "\n\n".join(_report(at_size, ligands)))
    print(f"\n{_method_notes(options)}")
    if options.csv:
        _write_csv(options.csv, results, ligands)
    if options.plot:
        _plot(options.plot, results, options.sizes)


def _ligands(folder: Path) -> Iterator[Ligand]:
    """Read the first structure of each ligand; which are left out and why is told."""
    seen: set[str] = set()
    n_read = n_repeated = 0
    for file in FILES:
        if not (folder / file).is_file():
            raise SystemExit(f"{folder / file} is missing; give the folder that holds {' and '.join(FILES)}")
        for index, mol in enumerate(_molecules(folder / file)):
            n_read += 1
            ligand = None if mol is None else _ligand(mol)
            if ligand is None:
                print(f"left out: record {index + 1} of {file}, whose SMILES is not the same molecule")
            elif ligand.smiles in seen:
                n_repeated += 1
            else:
                seen.add(ligand.smiles)
                yield ligand
    print(f"{n_read} crystal structures, {n_repeated} of them of a ligand that came before, {len(seen)} ligands")


def _molecules(path: Path) -> Iterator[Chem.Mol | None]:
    with rdBase.BlockLogs():
        yield from Chem.SDMolSupplier(str(path), removeHs=False)


def _ligand(mol: Chem.Mol) -> Ligand | None:
    """Derive the SMILES with the stereo that the coordinates have."""
    Chem.AssignStereochemistryFrom3D(mol)
    with rdBase.BlockLogs():
        crystal = heavy_graph(mol)
        parsed = Chem.MolFromSmiles(Chem.MolToSmiles(crystal))
    if parsed is None:
        return None
    smiles = Chem.MolToSmiles(parsed)
    match = same_atoms(crystal, Chem.MolFromSmiles(smiles))
    if match is None:
        return None
    name = next((mol.GetProp(tag) for tag in ("fullStructID", "STRUCID") if mol.HasProp(tag)), mol.GetProp("_Name"))
    return Ligand(name.strip(), smiles, crystal, crystal.GetConformer().GetPositions()[match])


def _chosen(ligands: list[Ligand], options: argparse.Namespace) -> list[Ligand]:
    random.Random(options.seed).shuffle(ligands)
    chosen = ligands[: options.molecules]
    heavy = np.mean([ligand.crystal.GetNumAtoms() for ligand in chosen])
    print(f"{len(chosen)} of {len(ligands)} ligands, {heavy:.0f} heavy atoms in the mean")
    return chosen


def _add_peers(results: Results, ligand: Ligand, options: argparse.Namespace) -> None:
    """Look the peers' figures up, or measure them where they are not known yet."""
    wanted = [key for key in results if key[0] != MOLEBM]
    decisive = (ligand.name, ligand.smiles, options.seed)
    paths = {key: cache_path(options.cache, *key, decisive, options.time_limit) for key in wanted}
    known = {key: read_figures(path) for key, path in paths.items()}
    missing = [key for key in wanted if known[key] is None]
    made: dict[tuple[str, int], Made] = {}
    if any(method in (ETKDG, ETKDG_MMFF) for method, _ in missing):
        relax = any(method == ETKDG_MMFF for method, _ in missing)
        made |= embedded(ligand.smiles, options.sizes, seed=options.seed, relax=relax)
    for method, size in missing:
        if method == CONFORGE:
            made[method, size] = conforge(ligand.smiles, size, time_limit=options.time_limit)
    for key in wanted:
        kept = known[key]
        if kept is None:
            kept = {"ligand": ligand.name, "smiles": ligand.smiles, **_measured(ligand, made[key])._asdict()}
            write_figures(paths[key], kept)
        results[key][ligand.name] = Result(**{name: kept[name] for name in Result._fields})


def _add_molebm(results: Results, ligands: Sequence[Ligand], size: int, options: argparse.Namespace) -> None:
    settings = generation_settings(options.set, n_conformers=size, seed=options.seed)
    stream = generated([ligand.smiles for ligand in ligands], settings)
    for number, (ligand, made) in enumerate(zip(ligands, stream, strict=True), start=1):
        results[MOLEBM, size][ligand.name] = _measured(ligand, made)
        _progress(f"molebm, {size} conformers", number, len(ligands))


def _measured(ligand: Ligand, made: Made) -> Result:
    if made.reason:
        return Result([], made.seconds, 0, 0, made.reason)
    rmsd = rmsd_to(ligand.heavy[None], made.mol)[0]
    return Result(
        [round(float(each), 4) for each in rmsd],
        made.seconds,
        n_distinct(made.mol),
        int(wrong_stereo(ligand.smiles, made.mol).sum()),
        "",
    )


def _report(at_size: Mapping[str, Mapping[str, Result]], ligands: Sequence[Ligand]) -> Iterator[str]:
    head = ("method", "median", "mean", "quartiles", *(f"≤ {near} Å, %" for near in NEAR), "conformers", "failed")
    yield table(head, [_recall_row(method, _in_order(found, ligands)) for method, found in at_size.items()])
    head = ("method", "core-s", "conformers/core-s", "distinct/core-s", "wrong stereo", "of conformers")
    yield table(head, [_cost_row(method, _in_order(found, ligands)) for method, found in at_size.items()])
    if MOLEBM in at_size and len(at_size) > 1:
        ours = [result.best for result in _in_order(at_size[MOLEBM], ligands)]
        rows = []
        for method, found in at_size.items():
            if method != MOLEBM:
                theirs = [result.best for result in _in_order(found, ligands)]
                rows.append(_difference_row(method, ours, theirs))
        yield table(("molebm against", "median - median, Å", "95 % interval", "nearer, %", "farther, %"), rows)
    failed = [
        f"- {method}: {ligand.name} ({ligand.smiles}): {found[ligand.name].reason}"
        for method, found in at_size.items()
        for ligand in ligands
        if found[ligand.name].reason
    ]
    if failed:
        yield "Failed:\n\n" + "\n".join(failed)


def _in_order(found: Mapping[str, Result], ligands: Sequence[Ligand]) -> list[Result]:
    return [found[ligand.name] for ligand in ligands]


def _recall_row(method: str, found: Sequence[Result]) -> list[str]:
    best = np.array([result.best for result in found])
    low, high = np.quantile(best, [0.25, 0.75], method="higher")  # a failure is infinite, between is nothing
    near = [f"{100 * (best <= limit).mean():.1f}" for limit in NEAR]
    made = np.mean([len(result.rmsd) for result in found])
    n_failed = sum(bool(result.reason) for result in found)
    mean = best[np.isfinite(best)].mean() if np.isfinite(best).any() else np.nan
    return [
        method,
        f"{np.median(best):.3f}",
        f"{mean:.3f}",
        f"{low:.2f}-{high:.2f}",
        *near,
        f"{made:.1f}",
        str(n_failed),
    ]


def _cost_row(method: str, found: Sequence[Result]) -> list[str]:
    seconds = sum(result.seconds for result in found)
    made = sum(len(result.rmsd) for result in found)
    distinct = sum(result.distinct for result in found)
    wrong = sum(result.wrong_stereo for result in found)
    return [method, f"{seconds:.1f}", f"{made / seconds:.1f}", f"{distinct / seconds:.1f}", str(wrong), str(made)]


def _difference_row(method: str, ours: Sequence[float], theirs: Sequence[float]) -> list[str]:
    difference, low, high = interval(ours, theirs)
    nearer = np.mean([a < b - 0.05 for a, b in zip(ours, theirs, strict=True)])
    farther = np.mean([a > b + 0.05 for a, b in zip(ours, theirs, strict=True)])
    return [
        method,
        f"{difference:+.3f}",
        f"{low:+.3f} to {high:+.3f}",
        f"{100 * nearer:.0f}",
        f"{100 * farther:.0f}",
    ]


def _method_notes(options: argparse.Namespace) -> str:
    return (
        "RMSD of the heavy atoms to the crystal in Å, of the nearest conformer, equivalent atoms exchanged. A failure "
        "counts as never near, in all but the mean. Nearer and farther are by more than 0.05 Å. Distinct conformers "
        "are 0.5 Å apart. Those of ETKDGv3 are independent, so the smaller ensemble is the beginning of the larger; "
        f"it is relaxed by MMFFOptimizeMoleculeConfs with {MMFF_STEPS} steps. CONFORGE has its default settings and "
        f"{options.time_limit:g} s for each molecule. molebm: {' '.join(options.set) or 'default settings'}. "
        + ", ".join(sorted(set(versions().values())))
        + "."
    )


def _verify(ligands: Sequence[Ligand]) -> None:
    """Hold the RMSD against RDKit's own on a few conformers."""
    worst = 0.0
    for ligand in ligands:
        mol = embedded(ligand.smiles, [3], seed=0, relax=False)[ETKDG, 3].mol
        bare = heavy_graph(mol)
        ours = rmsd_to(ligand.heavy[None], mol)[0]
        for conformer, distance in zip(bare.GetConformers(), ours, strict=True):
            theirs = rdMolAlign.GetBestRMS(
                bare,
                Chem.Mol(ligand.crystal),
                conformer.GetId(),
                maxMatches=MAX_MATCHES,
                symmetrizeConjugatedTerminalGroups=True,
            )
            if abs(theirs - distance) > 1e-3:
                print(f"RMSD of {ligand.name}: {distance:.4f} Å here, {theirs:.4f} Å by RDKit")
            worst = max(worst, abs(theirs - distance))
    print(f"RMSD here and by RDKit's GetBestRMS differ by at most {worst:.1e} Å on {len(ligands)} ligands")


def _write_csv(path: Path, results: Results, ligands: Sequence[Ligand]) -> None:
    with path.open("w", newline="") as stream:
        writer = csv.writer(stream)
        writer.writerow(["ligand", "smiles", "method", "asked", "made", "best_rmsd", "core_s", "wrong", "reason"])
        for (method, size), found in results.items():
            for ligand in ligands:
                result = found[ligand.name]
                figures = [len(result.rmsd), result.best, f"{result.seconds:.4f}", result.wrong_stereo, result.reason]
                writer.writerow([ligand.name, ligand.smiles, method, size, *figures])


def _plot(path: Path, results: Results, sizes: Sequence[int]) -> None:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(5 * len(sizes), 4), layout="constrained")
    axes = figure.subplots(1, len(sizes), sharey=True, squeeze=False)[0]
    for axis, size in zip(axes, sizes, strict=True):
        for (method, n), found in results.items():
            if n == size:
                best = sorted(result.best for result in found.values())
                axis.step(best, 100 * np.arange(1, len(best) + 1) / len(best), where="post", label=method)
        axis.set(title=f"at most {size} conformers", xlabel="RMSD to the crystal, Å", xlim=(0, 3), ylim=(0, 100))
        axis.grid(alpha=0.3)
    axes[0].set_ylabel("ligands, %")
    axes[0].legend()
    figure.savefig(path, dpi=150)


def _progress(what: str, number: int, total: int) -> None:
    print(f"{what}: {number} of {total}", file=sys.stderr, flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with the crystal structures")
    parser.add_argument("--molecules", type=int, help="a random choice of so many; all if left out")
    parser.add_argument("--sizes", type=int, nargs="+", default=[50, 250], help="conformers asked of each method")
    parser.add_argument("--methods", nargs="+", choices=[*METHODS], default=[*METHODS])
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="of molebm's settings")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time-limit", type=float, default=60, help="s for each molecule, of CONFORGE")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="where the peers' figures are kept")
    parser.add_argument("--verify", type=int, default=0, metavar="N", help="check the RMSD of N ligands against RDKit")
    parser.add_argument("--csv", type=Path, help="write the figures of each ligand")
    parser.add_argument("--plot", type=Path, help="draw the fraction of ligands against the RMSD")
    options = parser.parse_args()
    if "conforge" in options.methods:
        require_cdpkit()
    return options


if __name__ == "__main__":
    torch.set_num_threads(1)
    main()
