"""Starting coordinates by distance geometry, with one stereoisomer for all of them."""

from __future__ import annotations

import math
import time
from typing import Final

from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.errors import EmbeddingError, TimeLimitError

_SEEDS: Final = 2**30  # RDKit takes a 32-bit signed integer, and counts on from it with each conformer


def embed(mol: Chem.Mol, n_conformers: int, *, seed: int, time_limit: float) -> Chem.Mol:
    """Copy a molecule with explicit hydrogens and give it up to `n_conformers` conformers by ETKDGv3.

    A centre or double bond that the input left open gets the configuration of the first embedding, in
    all conformers and in the copy's stereo tags: an ensemble is of one molecule. Where the usual start
    from a distance matrix fails, random coordinates are tried.

    Parameters
    ----------
    time_limit
        s, for this molecule; what has been found by then is returned.

    Raises
    ------
    EmbeddingError
        If no coordinates can be found, as for stereochemistry that no geometry can meet.
    TimeLimitError
        If none have been found within the time limit.

    References
    ----------
    Wang, Witek, Landrum and Riniker, J. Chem. Inf. Model. 60, 2044 (2020).
    """
    deadline = time.monotonic() + time_limit
    embedded = Chem.Mol(mol)
    embedded.RemoveAllConformers()
    parameters = rdDistGeom.ETKDGv3()
    parameters.clearConfs = False
    parameters.enableSequentialRandomSeeds = True  # by default they are multiples, of which those of 0 are one
    parameters.randomSeed = seed % _SEEDS
    for parameters.useRandomCoords in (False, True):
        parameters.timeout = _seconds_left(deadline)
        if _embed_more(embedded, 1, parameters):
            break
    else:
        if time.monotonic() >= deadline:
            raise TimeLimitError(
                f"no starting coordinates were found within {time_limit:g} s; raise --time-limit, or leave it out"
            )
        raise EmbeddingError(
            "no three-dimensional coordinates can be found for this structure; check its declared stereochemistry "
            "and rings for what no geometry can meet"
        )

    if _has_open_stereo(embedded):
        Chem.AssignStereochemistryFrom3D(embedded, replaceExistingTags=False)
    if n_conformers > 1 and time.monotonic() < deadline:
        parameters.timeout = _seconds_left(deadline)
        parameters.randomSeed += 1
        _embed_more(embedded, n_conformers - 1, parameters)
    return embedded


def _embed_more(mol: Chem.Mol, count: int, parameters: rdDistGeom.EmbedParameters) -> int:
    return len(rdDistGeom.EmbedMultipleConfs(mol, count, parameters))


def _has_open_stereo(mol: Chem.Mol) -> bool:
    return any(element.specified == Chem.StereoSpecified.Unspecified for element in Chem.FindPotentialStereo(mol))


def _seconds_left(deadline: float) -> int:
    """Whole seconds that RDKit may take, at least 1, since it reads 0 as no limit."""
    return max(1, math.ceil(deadline - time.monotonic()))
