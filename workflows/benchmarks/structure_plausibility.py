"""How well scores of structures tell defects from good ones, and where they are: molebm and its peers.

    python workflows/benchmarks/structure_plausibility.py FOLDER/*.sdf --cache FOLDER/scores
    python workflows/benchmarks/structure_plausibility.py FOLDER/*.sdf --methods z --methods mmff
    python workflows/benchmarks/structure_plausibility.py FOLDER/*.sdf --kind "boat ring" --posebusters 400

The files hold good structures, as ligands in crystals, and all kinds of `defect_kinds` are made of each. They are
divided at random: each half calibrates, and gives the statistics of the z-score, for the other and what is made of it.
All are scored in one run, as they are in memory: with the stereo that their coordinates had before. What PoseBusters
and MMFF94 say is kept with --cache.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import click
import numpy as np
import torch
from defect_kinds import ALL, made
from environment_statistics import statistics_of
from plausibility_peers import (
    AGGREGATIONS,
    ALL_STEPS,
    LARGEST,
    cached_scores,
    environment_z_scores,
    mmff_strain,
    posebusters_failures,
    posebusters_name,
)
from plausibility_tables import (
    MOLEBM,
    Case,
    Scores,
    alarm_table,
    auroc_table,
    detail_table,
    discovery_table,
    scores_of,
    variant_table,
)
from rdkit import Chem, rdBase
from rdkit import __version__ as rdkit_version
from structure_scores import StructureScore, score_structures

from molebm.chem.reading import read_molecules
from molebm.parametrise import LEARNED, named_energy
from molebm.plausibility.calibrating import learn_calibration
from molebm.plausibility.scoring import ScoringSettings

SOURCE: Final = "crystal"
THREADS: Final = 2

METHODS: Final = (MOLEBM, "posebusters", "mmff", "z")
POSEBUSTERS, MMFF = "PoseBusters", "MMFF94 strain"


class Parent(NamedTuple):
    """A good structure, and the file that it is from."""

    mol: Chem.Mol
    source: str


class Structures(NamedTuple):
    """All that is scored."""

    clean: list[Parent]
    cases: list[Case]
    defects: list[Chem.Mol]
    halves: tuple[range, range]  # of the parents, each of which calibrates for the other


class Half(NamedTuple):
    """The places of some parents, of what is made of them, and of the parents that they are judged by."""

    clean: Sequence[int]
    defects: Sequence[int]
    calibration: Sequence[int]


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--seed", default=0, show_default=True, help="Of the halves, and of the places of the defects.")
@click.option("--parents", type=int, help="At most so many structures to make defects of; default: all.")
@click.option(
    "--kind", "kinds", multiple=True, type=click.Choice([k.name for k in ALL]), help="Of defect; default: all."
)
@click.option("--methods", multiple=True, default=METHODS, show_default=True, type=click.Choice(METHODS))
@click.option("--posebusters", "n_busted", default=40, show_default=True, help="Parents that PoseBusters scores.")
@click.option("--processes", default=2, show_default=True, help="That PoseBusters and MMFF94 run in.")
@click.option("--cache", type=click.Path(file_okay=False, path_type=Path), help="Folder for the scores of peers.")
def main(
    files: Sequence[Path],
    seed: int,
    parents: int | None,
    kinds: Sequence[str],
    methods: Sequence[str],
    n_busted: int,
    processes: int,
    cache: Path | None,
) -> None:
    """Print tables in Markdown of how defects of the structures in FILES are told from the structures."""
    torch.set_num_threads(1)
    structures = _structures(files, seed, parents, kinds)
    scores: dict[str, Scores] = {}
    tables: list[tuple[str, str]] = []
    if MOLEBM in methods:
        clean, defects = _molebm(structures, seed)
        scores[MOLEBM] = scores_of([each.score for each in clean], [each.score for each in defects])
        tables = _tables_of_molebm(structures, clean, defects, seed)
    if "posebusters" in methods:
        scores[POSEBUSTERS] = _posebusters(structures, n_busted, processes, cache)
    if "mmff" in methods:
        name = f"mmff94-rdkit-{rdkit_version}-{ALL_STEPS}"
        scores[MMFF] = scores_of(
            list(cached_scores(name, mmff_strain, [one.mol for one in structures.clean], cache, processes=processes)),
            list(cached_scores(name, mmff_strain, structures.defects, cache, processes=processes)),
        )
    if "z" in methods:
        variants = _z_scores(structures)
        text, strongest = variant_table(variants, structures.cases)
        scores |= {f"z-score, {name}": variants[name] for name in dict.fromkeys((LARGEST, strongest))}
        tables.append(("AUROC of the z-score, put together in several ways", text))
    counted = POSEBUSTERS if POSEBUSTERS in scores else None
    click.echo("\n## AUROC (95 % interval)\n\n" + auroc_table(scores, structures.cases, counted, seed))
    for heading, text in tables:
        click.echo(f"\n## {heading}\n\n{text}")


def _structures(files: Sequence[Path], seed: int, at_most: int | None, kinds: Sequence[str] = ()) -> Structures:
    """Read the parents, choose the halves, and make the defects."""
    found: dict[str, Parent] = {}
    n_repeated = n_unread = 0
    for path in files:
        for record in read_molecules(path):
            if record.mol is None:
                n_unread += 1
                continue
            smiles = Chem.MolToSmiles(Chem.RemoveAllHs(record.mol))
            n_repeated += smiles in found
            found.setdefault(smiles, Parent(record.mol, path.name))
    generator = np.random.default_rng(seed)
    clean = [list(found.values())[i] for i in generator.permutation(len(found))]
    middle = len(clean) - len(clean) // 2
    cases, defects = [], []
    for place, parent in enumerate(clean[:at_most]):
        for kind in ALL:
            for severity in kind.severities if not kinds or kind.name in kinds else ():
                with rdBase.BlockLogs():
                    defect = made(kind, severity, parent.mol, (seed, place))
                if defect is not None:
                    cases.append(Case(place, kind.name, severity, defect.atoms))
                    defects.append(defect.mol)
    click.echo(
        f"{len(found)} structures ({n_unread} more not read, {n_repeated} repeated), of which {len(defects)} defects "
        "are made"
    )
    return Structures(clean, cases, defects, (range(middle), range(middle, len(clean))))


def _halves(structures: Structures) -> Iterator[Half]:
    """Judge each half by the other."""
    for one, other in (structures.halves, structures.halves[::-1]):
        yield Half(one, [i for i, case in enumerate(structures.cases) if case.parent in one], other)


def _molebm(structures: Structures, seed: int) -> tuple[list[StructureScore], list[StructureScore]]:
    """Learn and calibrate on each half, and score the other and what is made of it in one go."""
    energy = named_energy(LEARNED)
    settings = ScoringSettings(source=SOURCE, threads=THREADS)
    clean: dict[int, StructureScore] = {}
    defects: dict[int, StructureScore] = {}
    for half in _halves(structures):
        trusted = [structures.clean[i].mol for i in half.calibration]
        learned = learn_calibration(trusted, energy, source=SOURCE, provenance="one half", seed=seed)
        mols = [*(structures.clean[i].mol for i in half.clean), *(structures.defects[i] for i in half.defects)]
        found = score_structures(mols, learned, energy=energy, settings=settings)
        clean |= zip(half.clean, found[: len(half.clean)], strict=True)
        defects |= zip(half.defects, found[len(half.clean) :], strict=True)
    return [clean[i] for i in range(len(clean))], [defects[i] for i in range(len(defects))]


def _tables_of_molebm(
    structures: Structures,
    clean: list[StructureScore],
    defects: list[StructureScore],
    seed: int,
) -> list[tuple[str, str]]:
    sources = [parent.source for parent in structures.clean]
    good = np.array([each.p_value for each in clean if each.scored])
    wrong = np.array([each.p_value for each in defects if each.scored])
    return [
        ("molebm: flagged, located, rising with severity", detail_table(clean, defects, structures.cases)),
        ("molebm: false alarms", alarm_table(clean, sources)),
        ("molebm: false discoveries (Benjamini-Hochberg)", discovery_table(good, wrong, seed)),
    ]


def _posebusters(structures: Structures, n_parents: int, processes: int, cache: Path | None) -> Scores:
    """Score some parents and what is made of them; the others have no score."""
    chosen = range(min(n_parents, len(structures.clean)))  # the parents are in random order
    clean = np.full(len(structures.clean), np.nan)
    defects = np.full(len(structures.defects), np.nan)
    places = [i for i, case in enumerate(structures.cases) if case.parent in chosen]
    mols = [structures.clean[i].mol for i in chosen] + [structures.defects[i] for i in places]
    found = []
    for score in cached_scores(posebusters_name(), posebusters_failures, mols, cache, processes=processes):
        found.append(score)
        if len(found) % 100 == 0:
            print(f"PoseBusters: {len(found)} of {len(mols)}", file=sys.stderr, flush=True)
    clean[: len(chosen)] = found[: len(chosen)]
    defects[places] = found[len(chosen) :]
    return scores_of(clean, defects)


def _z_scores(structures: Structures) -> dict[str, Scores]:
    """Learn from each half, and give the other one number in several ways."""
    clean = {name: np.full(len(structures.clean), np.nan) for name in AGGREGATIONS}
    defects = {name: np.full(len(structures.defects), np.nan) for name in AGGREGATIONS}
    for half in _halves(structures):
        statistics = statistics_of(structures.clean[i].mol for i in half.calibration)
        of_clean = environment_z_scores([structures.clean[i].mol for i in half.clean], statistics)
        of_defects = environment_z_scores([structures.defects[i] for i in half.defects], statistics)
        for name in AGGREGATIONS:
            clean[name][list(half.clean)], defects[name][list(half.defects)] = of_clean[name], of_defects[name]
    return {name: scores_of(clean[name], defects[name]) for name in AGGREGATIONS}


if __name__ == "__main__":
    main()
