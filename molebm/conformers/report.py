"""One page that shows ensembles: how many conformers, how high, how different, and each in space."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Final, NamedTuple, TypedDict

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem, Geometry
from rdkit.Chem import rdMolAlign

from molebm.chem.reading import Record
from molebm.conformers.ensemble_files import MOST_KEPT, Shown, ensembles_of, from_lowest, shown
from molebm.conformers.outcomes import Ensemble
from molebm.figures.depiction import data_uri, depiction
from molebm.figures.energies import plot_energies
from molebm.figures.page import cell, page
from molebm.figures.scene import Frame, bonds, elements, frames
from molebm.figures.style import svg

ROWS: Final = 5000  # molecules in the table
STRUCTURES: Final = 20  # molecules drawn
UNREADABLE_ROWS: Final = 500
_PLOT_SIZE: Final = (4.2, 2.5)  # inches


class _Row(NamedTuple):
    """One molecule in the table."""

    record: int
    name: str
    smiles: str
    n_heavy: int
    n_conformers: int
    lowest: float | None  # kcal/mol
    span: float | None  # kcal/mol, highest above lowest
    weight: float | None  # the largest
    rmsd: float | None  # Å, of the farthest from the lowest


class _Conformer(NamedTuple):
    """One conformer in the list of its molecule."""

    energy: float | None  # kcal/mol, above the lowest
    weight: float | None
    rmsd: float  # Å, from the lowest


class _Frames(TypedDict):
    """A molecule in space, its conformers superposed."""

    elements: list[str]
    bonds: list[tuple[int, int, float]]
    frames: list[Frame]


class _Drawn(NamedTuple):
    """One of the molecules that are drawn."""

    row: _Row
    image: str
    plot: str | None
    conformers: list[_Conformer]
    n_left_out: int
    scene: _Frames


class EnsembleReport:
    """Gathers what a page shows from one ensemble at a time, in memory that does not grow with their number.

    Everything is counted. The table holds the first `n_rows` molecules; the first `n_structures` of them are drawn,
    with up to `MOST_KEPT` conformers each. The page says what was left out.
    """

    def __init__(
        self,
        source: str = "",
        *,
        facts: Mapping[str, str] | None = None,
        n_rows: int = ROWS,
        n_structures: int = STRUCTURES,
    ) -> None:
        self.source = source
        self.facts = dict(facts or {})
        self.n_molecules = self.n_conformers = self.n_unreadable = 0
        self._most_rows, self._most_drawn = n_rows, n_structures
        self._rows: list[_Row] = []
        self._drawn: list[_Drawn] = []
        self._unreadable: list[tuple[int, str, str]] = []

    def add(self, found: Shown | Record) -> None:
        """Count one molecule, or a record without one, and keep it while there is room."""
        if isinstance(found, Record):
            self.n_unreadable += 1
            if len(self._unreadable) < UNREADABLE_ROWS:
                why = found.error or "there are no coordinates"
                self._unreadable.append((found.index, cell(found.name), cell(why)))
            return
        self.n_molecules += 1
        self.n_conformers += found.n_conformers
        if len(self._rows) < self._most_rows:
            rmsds = from_lowest(found)
            row = _row(found, rmsds)
            self._rows.append(row)
            if len(self._drawn) < self._most_drawn:
                self._drawn.append(_draw(found, row, rmsds))

    def render(self) -> str:
        """Return the page as HTML, to be written as UTF-8."""
        return page(
            "molebm.conformers",
            "ensembles.html.j2",
            "ensembles.js",
            facts=self.facts,
            source=cell(self.source),
            report=self,
            rows=self._rows,
            drawn=self._drawn,
            drawn_records={one.row.record for one in self._drawn},
            unreadable=self._unreadable,
            most_kept=MOST_KEPT,
            scenes=[one.scene for one in self._drawn],
        )


def ensemble_report(found: Iterable[Ensemble | Chem.Mol], source: str = "") -> str:
    """Return the page of what `molebm.generate` or `generate_ensembles` made, as HTML."""
    report = EnsembleReport(source)
    for record, one in enumerate(found):
        report.add(shown(one, record))
    return report.render()


def file_report(records: Iterable[Record], source: str = "") -> str:
    """Return the page of the records of a file, as HTML."""
    report = EnsembleReport(source)
    for found in ensembles_of(records):
        report.add(found)
    return report.render()


def _row(found: Shown, rmsds: NDArray[np.float64]) -> _Row:
    energies = [energy for energy in found.energies if math.isfinite(energy)]
    weights = [weight for weight in found.weights if math.isfinite(weight)]
    return _Row(
        found.record,
        cell(found.name),
        cell(Chem.MolToSmiles(Chem.RemoveHs(found.mol))),
        found.mol.GetNumHeavyAtoms(),
        found.n_conformers,
        min(energies, default=None),
        max(energies) - min(energies) if energies else None,
        max(weights, default=None),
        float(rmsds.max()),
    )


def _draw(found: Shown, row: _Row, rmsds: NDArray[np.float64]) -> _Drawn:
    kept = len(found.positions)
    energies, weights = np.array(found.energies[:kept]), np.array(found.weights[:kept])
    order = np.argsort(energies, kind="stable")  # those without an energy come last
    above = energies - (0.0 if row.lowest is None else row.lowest)
    known = np.isfinite(energies)
    plot = None
    if known.sum() > 1:
        sized = weights[known].tolist() if np.isfinite(weights[known]).all() else None
        plot = svg(partial(plot_energies, above[known], rmsds[known], weights=sized), _PLOT_SIZE)
    return _Drawn(
        row,
        data_uri(depiction(found.mol, [0.0] * found.mol.GetNumAtoms(), numbered=False)),
        None if plot is None else data_uri(plot),
        [_Conformer(_finite(above[k]), _finite(weights[k]), float(rmsds[k])) for k in order],
        found.n_conformers - kept,
        _Frames(elements=elements(found.mol), bonds=bonds(found.mol), frames=_superposed(found, order)),
    )


def _superposed(found: Shown, order: NDArray[np.int64]) -> list[Frame]:
    """Lay the heavy atoms of the conformers, in this order, upon those of the first."""
    mol = Chem.Mol(found.mol)
    mol.RemoveAllConformers()
    for k in order:
        conformer = Chem.Conformer(mol.GetNumAtoms())
        for atom, (x, y, z) in enumerate(found.positions[k].tolist()):
            conformer.SetAtomPosition(atom, Geometry.Point3D(x, y, z))
        mol.AddConformer(conformer, assignId=True)
    heavy = [atom.GetIdx() for atom in mol.GetAtoms() if atom.GetAtomicNum() > 1]
    if len(heavy) > 1:
        rdMolAlign.AlignMolConformers(mol, atomIds=heavy)
    return frames([conformer.GetPositions() for conformer in mol.GetConformers()])


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
