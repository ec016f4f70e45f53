"""Conformers of a SMILES by each method that is compared, and the processor time that it took, on one thread."""

from __future__ import annotations

import functools
import hashlib
import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, replace
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple

import numpy as np
from rdkit import Chem, rdBase
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers

from molebm.conformers import Ensemble, GenerationSettings, generate_ensembles

ETKDG: Final = "ETKDGv3"
ETKDG_MMFF: Final = "ETKDGv3 + MMFF94"
CONFORGE: Final = "CONFORGE"
MOLEBM: Final = "molebm"
METHODS: Final = {"etkdg": ETKDG, "etkdg-mmff": ETKDG_MMFF, "conforge": CONFORGE, "molebm": MOLEBM}
"""How each is called on the command line and in tables."""

MMFF_STEPS: Final = 200  # of RDKit's minimiser, its default
EMBEDDING_LIMIT: Final = 3600  # s on the clock for each embedding of a molecule by RDKit


class Made(NamedTuple):
    """What a method made of one molecule."""

    mol: Chem.Mol  # hydrogens explicit, with its conformers; none where the method failed
    seconds: float  # of processor time
    reason: str  # why there are none; empty where there are some


def embedded(smiles: str, sizes: Sequence[int], *, seed: int, relax: bool) -> dict[tuple[str, int], Made]:
    """Embed by ETKDGv3 and, if asked for, relax in MMFF94, for each number of conformers.

    Conformers are independent of each other, so a larger ensemble is the smaller one and more: each is
    embedded once, and the time of a larger ensemble contains that of the smaller. Where no conformer can
    be embedded from the usual start, random coordinates are tried.
    """
    begin = time.process_time()
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    relaxed = Chem.Mol(mol)
    parameters = rdDistGeom.ETKDGv3()
    parameters.enableSequentialRandomSeeds = True
    parameters.timeout = EMBEDDING_LIMIT
    seconds, extra, reason = time.process_time() - begin, 0.0, ""
    made, asked = {}, 0
    for size in sorted(sizes):
        parameters.randomSeed = 2**12 * seed % 2**30 + asked + 1  # counted on with each conformer
        begin = time.process_time()
        more = _embedded(mol, size - asked, parameters)
        seconds += time.process_time() - begin
        _append(mol, more)
        made[ETKDG, size] = Made(Chem.Mol(mol), seconds, "" if mol.GetNumConformers() else "no embedding")
        if relax:
            begin = time.process_time()
            reason = _relax(more)
            extra += time.process_time() - begin
            if not reason:
                _append(relaxed, more)
            made[ETKDG_MMFF, size] = Made(Chem.Mol(relaxed), seconds + extra, reason or made[ETKDG, size].reason)
        asked = size
    return made


def conforge(smiles: str, size: int, *, time_limit: float) -> Made:
    """Generate by CONFORGE with its default settings (0.5 Å, 15 kcal/mol), at most so many conformers and seconds.

    References
    ----------
    Seidel, Permann, Wieder, Kohlbacher and Langer, J. Chem. Inf. Model. 63, 5549 (2023).
    """
    chemistry, confgen = require_cdpkit()
    generator = _conforge_generator()
    begin = time.process_time()
    deadline = begin + time_limit
    generator.settings.maxNumOutputConformers = size
    generator.settings.timeout = 0
    generator.setTimeoutCallback(lambda: time.process_time() > deadline)
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    text = Chem.MolToSmiles(mol, canonical=False)  # every hydrogen written out, so that each atom is known again
    written = list(mol.GetPropsAsDict(includePrivate=True, includeComputed=True)["_smilesAtomOutputOrder"])
    theirs = chemistry.parseSMILES(text)
    confgen.prepareForConformerGeneration(theirs)
    status = generator.generate(theirs)
    for index in range(generator.numConformers):
        frame = np.empty((len(written), 3))
        frame[written] = generator.getConformer(index).toArray(False)
        _add_conformer(mol, frame)
    seconds = time.process_time() - begin
    return Made(mol, seconds, "" if mol.GetNumConformers() else _return_code(confgen, status))


def generated(smiles: Iterable[str], settings: GenerationSettings) -> Iterator[Made]:
    """Generate by molebm, molecule after molecule, warmed up on ethane.

    Between one result and the next, time counts only while the next is computed.
    """
    for _ in generate_ensembles(["CC"], replace(settings, n_conformers=2)):
        pass
    outcomes = generate_ensembles(smiles, settings)
    while True:
        begin = time.process_time()
        outcome = next(outcomes, None)
        seconds = time.process_time() - begin
        if outcome is None:
            return
        if isinstance(outcome, Ensemble):
            yield Made(outcome.mol, seconds, "")
        else:
            yield Made(Chem.Mol(), seconds, outcome.reason)


def generation_settings(assignments: Sequence[str], **given: Any) -> GenerationSettings:
    """Read settings written as FIELD=VALUE; those that are given by keyword come first."""
    defaults = {field.name: field.default for field in fields(GenerationSettings)}
    values = dict(given)
    for assignment in assignments:
        name, equals, text = assignment.partition("=")
        if not equals or name not in defaults:
            raise SystemExit(f"--set {assignment}: give FIELD=VALUE with a field of {', '.join(defaults)}")
        values[name] = _read(text, defaults[name])
    return GenerationSettings(**values)


def require_cdpkit() -> tuple[ModuleType, ModuleType]:
    """Import CDPKit, or end the script saying how it is installed."""
    try:
        import CDPL.Chem as Chemistry
        import CDPL.ConfGen as ConfGen
    except ImportError:
        raise SystemExit(
            "CONFORGE needs CDPKit, which is not installed: 'pip install cdpkit', or leave conforge out of --methods"
        ) from None
    return Chemistry, ConfGen


def versions() -> dict[str, str]:
    """Version of each peer that is installed, by method."""
    found = dict.fromkeys((ETKDG, ETKDG_MMFF), f"RDKit {rdBase.rdkitVersion}")
    try:
        import CDPL

        found[CONFORGE] = f"CDPKit {CDPL.__version__}"
    except ImportError:
        pass
    return found


def cache_path(
    folder: Path | None, method: str, size: int, decisive: Sequence[object], time_limit: float
) -> Path | None:
    """Name the file of a peer's figures, in a folder, by all that decides them."""
    if folder is None:
        return None
    own = {ETKDG: [], ETKDG_MMFF: [MMFF_STEPS], CONFORGE: [time_limit]}[method]
    name, smiles, seed, *rest = decisive
    parts = [name, smiles, versions().get(method, ""), seed, *own, *rest]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    return folder / f"{method.replace(' ', '')}-{size}" / f"{key}.json"


def read_figures(path: Path | None) -> dict[str, Any] | None:
    """Read what `write_figures` wrote, None if there is nothing."""
    return json.loads(path.read_text()) if path is not None and path.is_file() else None


def write_figures(path: Path | None, figures: Mapping[str, Any]) -> None:
    """Write figures to a temporary name and rename; nothing where there is no path."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_text(json.dumps(figures) + "\n")
        partial.replace(path)


def _embedded(mol: Chem.Mol, count: int, parameters: rdDistGeom.EmbedParameters) -> Chem.Mol:
    """Copy a molecule with so many conformers of its own."""
    copy = Chem.Mol(mol)
    with rdBase.BlockLogs():
        for parameters.useRandomCoords in (False, True):
            if len(rdDistGeom.EmbedMultipleConfs(copy, count, parameters)):
                break
    return copy


def _relax(mol: Chem.Mol) -> str:
    """Relax all conformers, if there are any, in MMFF94, or say why it cannot be done."""
    if mol.GetNumConformers() == 0:
        return ""
    with rdBase.BlockLogs():
        if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(mol):
            return "MMFF94 has no parameters for it"
        rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=MMFF_STEPS)
    return ""


def _append(mol: Chem.Mol, more: Chem.Mol) -> None:
    for conformer in more.GetConformers():
        mol.AddConformer(conformer, assignId=True)


def _add_conformer(mol: Chem.Mol, frame: np.ndarray) -> None:
    conformer = Chem.Conformer(mol.GetNumAtoms())
    conformer.Set3D(True)
    conformer.SetPositions(np.ascontiguousarray(frame, dtype=np.float64))
    mol.AddConformer(conformer, assignId=True)


@functools.cache
def _conforge_generator() -> Any:
    """Load fragment and torsion libraries once."""
    chemistry, confgen = require_cdpkit()
    generator = confgen.ConformerGenerator()
    ethane = chemistry.parseSMILES("CC")
    confgen.prepareForConformerGeneration(ethane)
    generator.generate(ethane)
    return generator


def _return_code(confgen: ModuleType, status: int) -> str:
    codes = confgen.ReturnCode
    names = [name for name in dir(codes) if name.isupper() and getattr(codes, name) == status]
    return names[0].lower().replace("_", " ") if names else f"return code {status}"


def _read(text: str, default: Any) -> Any:
    kinds: dict[type, Callable[[str], Any]] = {bool: lambda word: word.lower() in ("true", "yes", "on", "1")}
    kind = type(default)
    return text if default is None else kinds.get(kind, kind)(text)
