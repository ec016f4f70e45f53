"""A molecule as an image in three dimensions: how dense its atoms are, by element, in the frame of its own axes."""

from __future__ import annotations

from typing import Final
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray
from rdkit import Chem
from torch import Tensor

from molebm.chem.featurising import Featurise
from molebm.errors import MoleculeError

CHANNELS: Final = ((6,), (7,), (8,), (14, 15, 16), (9, 17, 35, 53))
"""Atomic numbers of each channel; hydrogens are left out."""

SHAPE: Final = (20, 14, 10)  # voxels along the axes, from the longest
SPACING: Final = 1.2  # Å between them
WIDTH: Final = 0.7  # Å, standard deviation of an atom
LARGEST_SHIFT: Final = 1.0  # Å
_ROUND: Final = 1e-3  # of the spread cubed, below which a molecule leans to neither side of an axis

Array = NDArray[np.float64]


def grid(spacing: float = SPACING, width: float = WIDTH, shifted: bool = False) -> Featurise:
    r"""Features "x" (5, 20, 14, 10) float16: for each channel :math:`\sum_i e^{-|r - x_i|^2 / 2w^2}` over its atoms.

    Turning or moving the molecule changes nothing, and its mirror image is another picture. Atoms outside the box fade.

    Parameters
    ----------
    shifted
        Also features "shifted": the picture of the molecule after a normal displacement of all heavy atoms, of a
        width drawn log-uniformly up to `LARGEST_SHIFT`; chance goes by the coordinates.
    """

    def featurise(mol: Chem.Mol) -> dict[str, Tensor]:
        x, channels = _heavy_atoms(mol)
        found = {"x": density(in_own_frame(x), channels, spacing=spacing, width=width).half()}
        if shifted:
            moved = in_own_frame(x + _displacement(x))
            found["shifted"] = density(moved, channels, spacing=spacing, width=width).half()
        return found

    return featurise


def in_own_frame(x: Array) -> Array:
    """Turn points (N, 3) Å about their centre to their principal axes, the longest first.

    Each of the first two axes points to where the points lean by their third moment, the last makes the frame
    right-handed.
    """
    x = x - x.mean(axis=0)
    _, axes = np.linalg.eigh(x.T @ x)
    turned = x @ axes[:, ::-1]
    lean = (turned**3).sum(axis=0)
    signs = np.where(lean < -_ROUND * np.abs(turned**3).sum(axis=0), -1.0, 1.0)
    signs[2] = signs[0] * signs[1] * np.sign(np.linalg.det(axes[:, ::-1]))
    return turned * signs


def density(x: Array, channels: NDArray[np.int64], *, spacing: float = SPACING, width: float = WIDTH) -> Tensor:
    """Add up atoms at (N, 3) Å on a grid about the origin, (channels, *SHAPE) float32, each 1 at its centre."""
    along = []
    for axis, n in enumerate(SHAPE):
        places = spacing * (np.arange(n) - (n - 1) / 2)
        along.append(np.exp(-((places - x[:, axis, None]) ** 2) / (2 * width**2)))  # (N, n)
    of_channel = np.eye(len(CHANNELS))[channels]  # (N, channels)
    found = np.einsum("ac,ai,aj,ak->cijk", of_channel, *along, optimize=True)
    return torch.from_numpy(found.astype(np.float32))


def _heavy_atoms(mol: Chem.Mol) -> tuple[Array, NDArray[np.int64]]:
    """Coordinates and channels of the heavier atoms."""
    if mol.GetNumConformers() != 1 or not mol.GetConformer().Is3D():
        raise MoleculeError("a grid is of one structure in three dimensions; give each conformer its own record")
    places, channels = [], []
    for atom in mol.GetAtoms():
        if (number := atom.GetAtomicNum()) > 1:
            channel = next((c for c, numbers in enumerate(CHANNELS) if number in numbers), None)
            if channel is None:
                raise MoleculeError(f"a grid has no channel for {atom.GetSymbol()}{atom.GetIdx()}; leave it out")
            places.append(atom.GetIdx())
            channels.append(channel)
    if not places:
        raise MoleculeError("a grid is of heavier atoms, and there are none; leave the record out")
    x = mol.GetConformer().GetPositions()[places]
    if not np.isfinite(x).all():
        raise MoleculeError("a coordinate is not a finite number; write the record again")
    return x, np.array(channels)


def _displacement(x: Array) -> Array:
    generator = np.random.default_rng(crc32(np.round(x, 3).tobytes()))
    return LARGEST_SHIFT * 10 ** -generator.uniform(0, 1.5) * generator.normal(size=x.shape)
