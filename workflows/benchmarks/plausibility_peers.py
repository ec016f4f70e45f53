"""What others say of a structure, each a number that is higher for the less plausible.

PoseBusters (its configuration 'mol') counts the tests that fail, MMFF94 gives the strain, and the z-score is of
`environment_statistics`. Infinite is what cannot be read, and NaN what cannot be scored.

'pip install posebusters==0.6.5 --no-deps' and 'pip install pyyaml' add PoseBusters.
"""

from __future__ import annotations

import hashlib
import json
import logging
import math
import multiprocessing
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np
from environment_statistics import Statistics, z_scores
from rdkit import Chem, rdBase
from rdkit.Chem import rdForceFieldHelpers

HYDROGEN_STEPS: Final = 200  # L-BFGS iterations at most, of hydrogens alone
ALL_STEPS: Final = 500  # and of all atoms
CHUNK: Final = 32  # structures to a process at a time: PoseBusters keeps what it knows of a molecule
LARGEST: Final = "largest"
AGGREGATIONS: Final[dict[str, Callable[[np.ndarray], float]]] = {
    LARGEST: lambda z: float(z.max(initial=0)),
    "mean of the largest three": lambda z: float(np.sort(z)[-3:].mean()) if len(z) else 0.0,
    "root mean square": lambda z: float(np.sqrt(np.square(z).mean())) if len(z) else 0.0,
    "mean fourth power": lambda z: float((z**4).mean() ** 0.25) if len(z) else 0.0,
}

Peer = Callable[[Chem.Mol], float]


def posebusters_failures(mol: Chem.Mol) -> float:
    """Count the tests of PoseBusters that do not pass."""
    table = _posebusters().bust(mol, None, None, full_report=False)
    return float((table.iloc[0] != True).sum())  # noqa: E712, a test that did not run is NaN and has not passed


def mmff_strain(mol: Chem.Mol) -> float:
    """MMFF94 energy, kcal/mol, that is lost from relaxed hydrogens to all atoms relaxed.

    Hydrogens that are missing are added. NaN where an atom has no parameters.
    """
    with rdBase.BlockLogs():
        if Chem.SanitizeMol(Chem.Mol(mol), catchErrors=True) != Chem.SanitizeFlags.SANITIZE_NONE:
            return math.inf
        whole = Chem.AddHs(mol, addCoords=True)
        properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(whole)
    if properties is None:
        return math.nan
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(whole, properties)
    for atom in whole.GetAtoms():
        if atom.GetAtomicNum() > 1:
            field.AddFixedPoint(atom.GetIdx())
    field.Initialize()
    field.Minimize(maxIts=HYDROGEN_STEPS)
    as_is = field.CalcEnergy()
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(whole, properties)
    field.Initialize()
    field.Minimize(maxIts=ALL_STEPS)
    return float(as_is - field.CalcEnergy())


def environment_z_scores(mols: Sequence[Chem.Mol], statistics: Statistics) -> dict[str, np.ndarray]:
    """Score structures by each of `AGGREGATIONS`, in their order."""
    found = [z_scores(mol, statistics) for mol in mols]
    return {name: np.array([combine(z) for z in found]) for name, combine in AGGREGATIONS.items()}


def cached_scores(
    name: str, peer: Peer, mols: Sequence[Chem.Mol], folder: Path | None, *, processes: int = 1
) -> Iterator[float]:
    """Give a peer's scores in the order of the structures, and keep those that are new in a file of the folder.

    `name` says what a score depends on besides the structure, such as the version of the peer.
    """
    keys = [structure_key(mol) for mol in mols]
    path = None if folder is None else folder / f"{name}.jsonl"
    known: dict[str, float] = {}
    if path is not None and path.exists():
        with path.open(encoding="utf-8") as lines:
            known = {entry["key"]: float(entry["score"]) for entry in map(json.loads, lines)}
    new = [mol for key, mol in zip(keys, mols, strict=True) if key not in known]
    fresh = _computed(peer, new, processes)
    for key in keys:
        if key in known:
            yield known[key]
            continue
        score = next(fresh)
        yield score
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps({"key": key, "score": repr(float(score))}) + "\n")


def posebusters_name() -> str:
    """Name PoseBusters with its version."""
    from posebusters import __version__

    return f"posebusters-{__version__}"


def structure_key(mol: Chem.Mol) -> str:
    """Name a structure by its atoms, bonds and coordinates to 1e-4 Å; not by data fields or conventions of RDKit."""
    atoms = [(a.GetAtomicNum(), a.GetFormalCharge(), a.GetTotalNumHs()) for a in mol.GetAtoms()]
    bonds = [(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), b.GetBondTypeAsDouble()) for b in mol.GetBonds()]
    positions = (np.round(mol.GetConformer().GetPositions(), 4) + 0.0).tolist()
    return hashlib.sha256(json.dumps([atoms, bonds, positions]).encode()).hexdigest()


@cache
def _posebusters():  # type: ignore[no-untyped-def]  # it is installed for this benchmark alone
    from posebusters import PoseBusters

    logging.getLogger("posebusters").setLevel(logging.CRITICAL)  # RDKit still warns, as PoseBusters tells it to
    return PoseBusters(config="mol")


def _computed(peer: Peer, mols: Sequence[Chem.Mol], processes: int) -> Iterator[float]:
    if processes == 1 or len(mols) < 2:
        yield from map(peer, mols)
        return
    with ProcessPoolExecutor(processes, mp_context=multiprocessing.get_context("spawn")) as pool:
        yield from pool.map(peer, mols, chunksize=CHUNK)
