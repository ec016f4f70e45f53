"""Structures with one kind of defect each: what a diagnosis learns from and is tested on.

Scripts of this folder use those of workflows/benchmarks, which make defects, and of workflows, which make structures.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem, rdBase

WORKFLOWS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(WORKFLOWS), str(WORKFLOWS / "benchmarks")]

from calibrate import SOURCES  # noqa: E402
from defect_kinds import KINDS  # noqa: E402

from molebm.chem.reading import read_molecules  # noqa: E402
from molebm.errors import MolebmError  # noqa: E402
from molebm.parametrise import NamedEnergy  # noqa: E402
from molebm.plausibility.calibrating import measure_structures  # noqa: E402
from molebm.plausibility.calibration import load_calibration  # noqa: E402
from molebm.plausibility.describing import describe_structures  # noqa: E402
from molebm.plausibility.statistics import Norms, learn_norms  # noqa: E402

SOUND: Final = "sound"
CRYSTAL: Final = "crystal"
FOLDS: Final = 5  # of crystals; what is usual is learned from the others
LARGEST: Final = 100  # atoms
TRIES: Final = 3  # in a row, for each copy of a defect


class Recipe(NamedTuple):
    """How often a kind of defect is put into each parent, and how severely; of either sign where it is signed."""

    copies: int
    least: float
    most: float
    signed: bool = False


CLASSES: Final[Mapping[str, Mapping[str, Recipe]]] = {  # class: kinds of `defect_kinds`
    SOUND: {},
    "clash": {"contact": Recipe(2, 1.5, 2.4)},
    "wrong bond length": {"bond": Recipe(2, 0.15, 0.5, True)},
    "wrong angle": {"angle": Recipe(2, 12, 35, True)},
    "cis amide": {"cis amide": Recipe(5, 160, 200)},
    "flattened ring": {"flattened ring": Recipe(5, 0.6, 1)},
    "inverted centre": {"inverted centre": Recipe(2, 1, 1), "epimer": Recipe(1, 1, 1)},
    "bent aromatic ring": {"aromatic atom": Recipe(1, 0.2, 0.6), "twisted aromatic ring": Recipe(1, 0.1, 0.25)},
}
"""What is told apart, and the kinds of defects in each class."""

UNSEEN: Final[Mapping[str, Recipe]] = {
    "noise": Recipe(1, 0.1, 0.2),
    "E/Z flip": Recipe(1, 1, 1),
    "eclipsed torsion": Recipe(1, 1, 1),
    "bond order": Recipe(1, 1, 1, True),
    "X-H bond": Recipe(1, 0.1, 0.5),
    "bent triple bond": Recipe(2, 15, 30),
    "planar centre": Recipe(1, 0.6, 1),
    "pyramidal amide": Recipe(1, 0.3, 0.5),
    "twisted double bond": Recipe(2, 30, 60),
    "scaled": Recipe(1, 0.02, 0.05, True),
    "swapped elements": Recipe(1, 1, 1),
    "boat ring": Recipe(1, 1, 1),
    "missing hydrogen": Recipe(1, 1, 1),
}
"""Kinds that no class has: what is none of them."""

_KINDS: Final = {kind.name: kind for kind in KINDS}


class Parent(NamedTuple):
    """A good structure."""

    mol: Chem.Mol
    molecule: str  # SMILES
    source: str


class Case(NamedTuple):
    """One structure of the data, sound or with one defect."""

    mol: Chem.Mol
    molecule: str
    source: str
    label: str  # a class, or a kind that no class has
    kind: str


class Described(NamedTuple):
    """Cases by what they look like; all in one order."""

    features: NDArray[np.float32]  # (S, D)
    molecules: list[str]
    sources: list[str]
    labels: list[str]
    kinds: list[str]


def crystal_parents(files: Sequence[Path]) -> list[Parent]:
    """Read the structures of files, one of each molecule."""
    found: dict[str, Parent] = {}
    for path in files:
        for record in read_molecules(path):
            if record.mol is not None:
                smiles = Chem.MolToSmiles(Chem.RemoveAllHs(record.mol))
                found.setdefault(smiles, Parent(record.mol, smiles, CRYSTAL))
    return list(found.values())


def made_parents(smiles: Path, number: int, energy: NamedEnergy, seed: int) -> Iterator[Parent]:
    """Make structures of molecules drawn from a file, each in all the ways of workflows/calibrate.py that work."""
    read = [record.mol for record in read_molecules(smiles) if record.mol is not None]
    whole = [Chem.AddHs(mol) for mol in read if len(Chem.GetMolFrags(mol)) == 1]
    small = [mol for mol in whole if mol.GetNumAtoms() <= LARGEST]
    for place in np.random.default_rng(seed).permutation(len(small))[:number]:
        mol = small[place]
        name = Chem.MolToSmiles(Chem.RemoveAllHs(mol))
        for source, (make, _) in SOURCES.items():
            if (made := _made(make, mol, energy)) is not None:
                Chem.AssignStereochemistryFrom3D(made)  # where the SMILES leaves it open
                yield Parent(made, name, source)


def cases_of(parents: Sequence[Parent], recipes: Mapping[str, Mapping[str, Recipe]], seed: int) -> Iterator[Case]:
    """Give each parent as it is, and with each defect of the recipes."""
    for place, parent in enumerate(parents):
        yield Case(parent.mol, parent.molecule, parent.source, SOUND, SOUND)
        for label, kinds in recipes.items():
            for name, recipe in kinds.items():
                for copy in range(recipe.copies):
                    mol = _broken(parent.mol, name, recipe, (seed, place, copy))
                    if mol is not None:
                        yield Case(mol, parent.molecule, parent.source, label, name)


def described(
    cases: Sequence[Case], energy: NamedEnergy, folds: Mapping[str, int], norms: Sequence[Norms]
) -> Described:
    """Describe cases by what is usual in other molecules than their own; `folds` says which norms those are."""
    rows: dict[int, NDArray[np.float32]] = {}
    for fold, usual in enumerate(norms):
        places = [place for place, case in enumerate(cases) if folds.get(case.molecule, 0) == fold]
        found = describe_structures((cases[place].mol for place in places), energy, usual)
        rows |= {places[place]: row.numpy() for place, row in found}
    kept = [cases[place] for place in sorted(rows)]
    return Described(
        np.stack([rows[place] for place in sorted(rows)]),
        [case.molecule for case in kept],
        [case.source for case in kept],
        [case.label for case in kept],
        [case.kind for case in kept],
    )


def norms_by_fold(parents: Sequence[Parent], energy: NamedEnergy, seed: int) -> tuple[dict[str, int], list[Norms]]:
    """Share the molecules of crystals out to folds, and learn for each what is usual in the others.

    Molecules of no fold, such as those made here, are held against what the shipped calibration learned.
    """
    shuffled = np.random.default_rng(seed).permutation(len(parents))
    folds = {parents[place].molecule: rank % FOLDS + 1 for rank, place in enumerate(shuffled)}
    measured = {
        fold: list(measure_structures([p.mol for p in parents if folds[p.molecule] == fold], energy))
        for fold in range(1, FOLDS + 1)
    }
    norms: list[Norms] = [load_calibration().norms]
    norms += [
        learn_norms([one for other, found in measured.items() if other != fold for one in found]) for fold in measured
    ]
    return folds, norms


def _broken(mol: Chem.Mol, name: str, recipe: Recipe, seed: tuple[int, ...]) -> Chem.Mol | None:
    generator = np.random.default_rng([*seed, crc32(name.encode())])
    severity = generator.uniform(recipe.least, recipe.most)
    if recipe.signed:
        severity *= generator.choice([-1, 1])
    if recipe.least == recipe.most:
        severity = float(np.sign(severity) * recipe.most)
    for _ in range(TRIES):
        with rdBase.BlockLogs():
            defect = _KINDS[name].make(mol, severity, generator)
        if defect is not None:
            return defect.mol
    return None


def _made(make: Callable[[Chem.Mol, NamedEnergy], Chem.Mol], mol: Chem.Mol, energy: NamedEnergy) -> Chem.Mol | None:
    try:
        return make(mol, energy)
    except MolebmError:
        return None


torch.set_num_threads(1)
