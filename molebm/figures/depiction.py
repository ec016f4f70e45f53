"""Molecules drawn in two dimensions, their atoms coloured by scores."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

from molebm.errors import RequestError
from molebm.figures.colours import colour, rgb

DRAWING_SIZE: Final = (340, 250)  # pixels
WORTH_COLOURING: Final = 0.05  # of the highest score of the molecule
_INDEX: Final = "_molebm_index"


@dataclass(frozen=True, slots=True)
class Drawing:
    """A picture that a notebook shows."""

    svg: str

    def _repr_svg_(self) -> str:
        return self.svg

    def save(self, path: str | Path) -> None:
        """Write the SVG document to a file."""
        Path(path).write_text(self.svg, encoding="utf-8")


def depict(
    mol: Chem.Mol,
    atom_scores: Sequence[float] | None = None,
    *,
    size: tuple[int, int] = DRAWING_SIZE,
    numbered: bool = True,
) -> Drawing:
    """Draw a molecule, its atoms coloured from zero to the highest of their scores.

    Hydrogens are not drawn; one that scores higher than the atom which bears it lends it its colour.

    Parameters
    ----------
    atom_scores
        (N,) of each atom, hydrogens too where they are explicit; 0 or more, as `molebm.plausibility` gives them.
    size
        Width and height in pixels.
    numbered
        Whether atoms show their indices, from 0.

    Raises
    ------
    RequestError
        If there is not one score for each atom.
    """
    n_atoms = mol.GetNumAtoms()
    if atom_scores is not None and len(atom_scores) != n_atoms:
        raise RequestError(f"there are {len(atom_scores)} scores for {n_atoms} atoms; give one for each, hydrogens too")
    scores = finite_scores([0.0] * n_atoms if atom_scores is None else atom_scores, n_atoms)
    return Drawing(depiction(mol, scores, size=size, numbered=numbered))


def finite_scores(scores: Sequence[float], n_atoms: int) -> list[float]:
    """Give each atom a score that can be drawn: the highest for what is not finite, zeros if not of these atoms."""
    if len(scores) != n_atoms:
        return [0.0] * n_atoms
    highest = max((score for score in scores if math.isfinite(score)), default=0.0) or 1.0
    return [max(0.0, score) if math.isfinite(score) else highest for score in scores]


def depiction(
    mol: Chem.Mol, scores: Sequence[float], *, size: tuple[int, int] = DRAWING_SIZE, numbered: bool = True
) -> str:
    """Draw a molecule in two dimensions as an SVG document, atoms numbered from 0 and coloured by their scores.

    A hydrogen that is not drawn gives its score, where it is higher, to the atom that bears it.
    """
    flat = _bare(mol)
    drawn = [atom.GetIntProp(_INDEX) for atom in flat.GetAtoms()]
    place = {atom: at for at, atom in enumerate(drawn)}
    shown = [scores[atom] for atom in drawn]
    for atom in mol.GetAtoms():
        if atom.GetIdx() not in place:
            for neighbour in atom.GetNeighbors():
                at = place[neighbour.GetIdx()]
                shown[at] = max(shown[at], scores[atom.GetIdx()])
    highest = max(shown, default=0.0)
    coloured = [at for at, score in enumerate(shown) if highest and score >= WORTH_COLOURING * highest]
    if numbered:
        for atom, index in zip(flat.GetAtoms(), drawn, strict=True):
            atom.SetProp("atomNote", str(index))

    drawer = rdMolDraw2D.MolDraw2DSVG(*size)
    options = drawer.drawOptions()
    options.clearBackground = False
    options.useBWAtomPalette()
    options.setAnnotationColour((0.25, 0.3, 0.4))
    options.annotationFontScale = 0.6
    options.fixedBondLength = 32
    options.padding = 0.06
    options.prepareMolsBeforeDrawing = False
    drawer.DrawMolecule(
        flat,
        highlightAtoms=coloured,
        highlightAtomColors={at: rgb(colour(shown[at] / highest)) for at in coloured},
        highlightAtomRadii=dict.fromkeys(coloured, 0.36),
        highlightBonds=[],
    )
    drawer.FinishDrawing()
    return drawer.GetDrawingText()


def data_uri(svg: str) -> str:
    """Put an SVG document into an address that carries it, for an image of a page."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg.encode()).decode()}"


def kekulised(mol: Chem.Mol) -> Chem.Mol:
    """Give aromatic bonds as single and double ones, or as they are where that cannot be done."""
    copy = Chem.Mol(mol)
    try:
        Chem.Kekulize(copy, clearAromaticFlags=True)
    except Chem.KekulizeException:
        return mol
    return copy


def _bare(mol: Chem.Mol) -> Chem.Mol:
    """Lay out a copy without the hydrogens and properties of its atoms, each with the index that it had."""
    copy = Chem.Mol(mol)
    for atom in copy.GetAtoms():
        for name in atom.GetPropNames(includePrivate=True, includeComputed=False):
            atom.ClearProp(name)
        atom.SetIntProp(_INDEX, atom.GetIdx())
    copy = Chem.RemoveHs(kekulised(copy), sanitize=False)
    copy.UpdatePropertyCache(strict=False)
    rdDepictor.Compute2DCoords(copy)
    return rdMolDraw2D.PrepareMolForDrawing(copy, kekulize=False, addChiralHs=False)
