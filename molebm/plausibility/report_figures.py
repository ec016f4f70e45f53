"""The pictures of a report: p-values against uniform ones, and molecules with their atoms coloured by score."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import Any, Final, TypedDict

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rdkit import Chem
from rdkit.Chem import rdDepictor
from rdkit.Chem.Draw import rdMolDraw2D

N_BINS: Final = 20
COLOUR_STOPS: Final = ("#dfe3e8", "#fdd888", "#f9964b", "#e3342a")  # from no score to the highest
DRAWING_SIZE: Final = (340, 250)  # pixels
WORTH_COLOURING: Final = 0.05  # of the highest score of the molecule
_INDEX: Final = "_molebm_index"
_PLOT_STYLE: Final[dict[Any, Any]] = {
    "svg.fonttype": "none",  # letters, not outlines
    "svg.hashsalt": "molebm",  # the same names in every run
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "#8792a2",
    "axes.labelcolor": "#3c4858",
    "xtick.color": "#5b6776",
    "ytick.color": "#5b6776",
}


class Scene(TypedDict):
    """A molecule in space, as the page draws it."""

    elements: list[str]  # (N,)
    positions: list[list[float]]  # (N, 3) Å, about the centre and along the principal axes, longest first
    bonds: list[tuple[int, int, float]]  # two atoms and the order
    scores: list[float]  # (N,)
    colours: list[str]  # (N,)


def p_value_histogram(counts: Sequence[int], alpha: float) -> str:
    """Plot how many p-values fall in each of the equal bins of (0, 1], as an SVG element for an HTML page.

    The band holds the counts of plausible structures, whose p-values are uniform, for 19 bins of 20 where the
    p-values are independent.
    """
    n, n_bins = sum(counts), len(counts)
    expected, spread = n / n_bins, 1.96 * math.sqrt(n / n_bins * (1 - 1 / n_bins))
    edges = np.linspace(0, 1, n_bins + 1)
    with mpl.rc_context(_PLOT_STYLE):
        figure = Figure(figsize=(5.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        unlikely = edges[1:] <= alpha * (1 + 1e-9)
        axes.bar(
            edges[:-1],
            counts,
            width=1 / n_bins,
            align="edge",
            color=np.where(unlikely, "#d7301f", "#6f9bd1"),
            edgecolor="white",
            linewidth=0.8,
        )
        axes.axhspan(max(0.0, expected - spread), expected + spread, color="#3c4858", alpha=0.13, linewidth=0)
        axes.axhline(expected, color="#3c4858", linewidth=1.2, linestyle="--", label="uniform (95 % of bins in band)")
        axes.axvline(alpha, color="#8c0d14", linewidth=1, linestyle=":", label=f"α = {alpha:g}")
        axes.set(xlim=(0, 1), xlabel="p-value", ylabel="structures")
        axes.set_ylim(0, 1.22 * max(*counts, expected + spread, 1))
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, loc="upper right", ncols=2, fontsize=8)
        written = io.StringIO()
        nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=nothing)
    svg = written.getvalue()
    return svg[svg.index("<svg") :]


def finite_scores(scores: Sequence[float], n_atoms: int) -> list[float]:
    """Give each atom a score that can be drawn: the highest for what is not finite, zeros if not of these atoms."""
    if len(scores) != n_atoms:
        return [0.0] * n_atoms
    highest = max((score for score in scores if math.isfinite(score)), default=0.0) or 1.0
    return [max(0.0, score) if math.isfinite(score) else highest for score in scores]


def depiction(mol: Chem.Mol, scores: Sequence[float]) -> str:
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
    for atom, index in zip(flat.GetAtoms(), drawn, strict=True):
        atom.SetProp("atomNote", str(index))

    drawer = rdMolDraw2D.MolDraw2DSVG(*DRAWING_SIZE)
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
        highlightAtomColors={at: _rgb(colour(shown[at] / highest)) for at in coloured},
        highlightAtomRadii=dict.fromkeys(coloured, 0.36),
        highlightBonds=[],
    )
    drawer.FinishDrawing()
    return drawer.GetDrawingText()


def scene(mol: Chem.Mol, scores: Sequence[float]) -> Scene:
    """Return the first conformer turned, never mirrored, so that it shows its broad side."""
    x = mol.GetConformer().GetPositions()  # (N, 3) Å
    x = x - x.mean(axis=0)
    axes = np.linalg.svd(x.T @ x)[0]  # columns, longest first
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    highest = max(scores, default=0.0) or 1.0
    return Scene(
        elements=[atom.GetSymbol() for atom in mol.GetAtoms()],
        positions=[[round(float(value), 3) for value in row] for row in x @ axes],
        bonds=[(b.GetBeginAtomIdx(), b.GetEndAtomIdx(), b.GetBondTypeAsDouble()) for b in _kekulised(mol).GetBonds()],
        scores=[float(f"{score:.4g}") for score in scores],
        colours=[colour(score / highest) for score in scores],
    )


def colour(share: float) -> str:
    """Blend the stops of the scale; `share` runs from 0 to 1."""
    at = min(max(share, 0.0), 1.0) * (len(COLOUR_STOPS) - 1)
    first = min(int(at), len(COLOUR_STOPS) - 2)
    low, high = _rgb(COLOUR_STOPS[first]), _rgb(COLOUR_STOPS[first + 1])
    blended = (a + (at - first) * (b - a) for a, b in zip(low, high, strict=True))
    return "#" + "".join(f"{round(255 * channel):02x}" for channel in blended)


def _bare(mol: Chem.Mol) -> Chem.Mol:
    """Lay out a copy without the hydrogens and properties of its atoms, each with the index that it had."""
    copy = Chem.Mol(mol)
    for atom in copy.GetAtoms():
        for name in atom.GetPropNames(includePrivate=True, includeComputed=False):
            atom.ClearProp(name)
        atom.SetIntProp(_INDEX, atom.GetIdx())
    copy = Chem.RemoveHs(_kekulised(copy), sanitize=False)
    copy.UpdatePropertyCache(strict=False)
    rdDepictor.Compute2DCoords(copy)
    return rdMolDraw2D.PrepareMolForDrawing(copy, kekulize=False, addChiralHs=False)


def _kekulised(mol: Chem.Mol) -> Chem.Mol:
    """Give aromatic bonds as single and double ones, or as they are where that cannot be done."""
    copy = Chem.Mol(mol)
    try:
        Chem.Kekulize(copy, clearAromaticFlags=True)
    except Chem.KekulizeException:
        return mol
    return copy


def _rgb(colour: str) -> tuple[float, float, float]:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    return red, green, blue
