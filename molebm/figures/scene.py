"""Molecules in space as the viewer of a page draws them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias, TypedDict

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.figures.colours import colour
from molebm.figures.depiction import kekulised

Frame: TypeAlias = list[list[float]]
"""Positions (N, 3) Å, about the centre and along the principal axes, longest first."""


class Scene(TypedDict):
    """One structure, its atoms coloured."""

    elements: list[str]  # (N,)
    positions: Frame
    bonds: list[tuple[int, int, float]]  # two atoms and the order
    scores: list[float]  # (N,)
    colours: list[str]  # (N,)


def scene(mol: Chem.Mol, scores: Sequence[float]) -> Scene:
    """Return the first conformer turned, never mirrored, so that it shows its broad side."""
    highest = max(scores, default=0.0) or 1.0
    (positions,) = frames([mol.GetConformer().GetPositions()])
    return Scene(
        elements=elements(mol),
        positions=positions,
        bonds=bonds(mol),
        scores=[float(f"{score:.4g}") for score in scores],
        colours=[colour(score / highest) for score in scores],
    )


def frames(positions: Sequence[NDArray[np.float64]]) -> list[Frame]:
    """Turn all conformers (N, 3) Å as the first has to be turned to show its broad side."""
    centre = positions[0].mean(axis=0)
    x = positions[0] - centre
    axes = np.linalg.svd(x.T @ x)[0]  # columns, longest first
    axes[:, 2] *= np.sign(np.linalg.det(axes))
    return [[[round(float(value), 3) for value in row] for row in (x - centre) @ axes] for x in positions]


def elements(mol: Chem.Mol) -> list[str]:
    """Name the element of each atom."""
    return [atom.GetSymbol() for atom in mol.GetAtoms()]


def bonds(mol: Chem.Mol) -> list[tuple[int, int, float]]:
    """List the atoms of each bond with its order."""
    drawn = kekulised(mol).GetBonds()
    return [(one.GetBeginAtomIdx(), one.GetEndAtomIdx(), one.GetBondTypeAsDouble()) for one in drawn]
