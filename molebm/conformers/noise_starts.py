"""Starts that a generative model makes from noise, as an alternative to folded random coordinates."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from torch import Generator, Tensor

from molebm.conformers.validity import bonds_are_whole, follows_stereo
from molebm.errors import RequestError
from molebm.family.checkpoint import load_trained
from molebm.family.noise_model import SHIPPED, NoiseModel
from molebm.forcefield.parameters import Parameters
from molebm.topology import Topology

ROUNDS: Final = 4  # in which what came out broken or as another stereoisomer is tried again


@functools.cache
def noise_model(path: str | Path | None) -> NoiseModel:
    """Load a model that makes conformers from noise, or the shipped one, once in each process.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged.
    RequestError
        If the model is of a kind that makes no conformers.
    """
    model = load_trained(SHIPPED if path is None else path).model
    if not isinstance(model, NoiseModel):
        raise RequestError(
            f"'{path}' is a model of kind {model.kind!r}, which makes no conformers; train one of kind 'score' or "
            "'diffusion_recovery'"
        )
    return model


def starts_from_noise(
    model: NoiseModel,
    topology: Topology,
    parameters: Parameters,
    n_candidates: int,
    generators: Sequence[Generator],
) -> Tensor:
    """Draw conformers from noise, (3, N, C) Å; those that came out broken or inverted are drawn again.

    Parameters
    ----------
    generators
        One for each molecule, on the CPU.
    """
    model = model.to(topology.device)
    found = model.sample(topology, n_candidates, generators)
    good = _is_sound(topology, parameters, found)
    for _ in range(ROUNDS - 1):
        missing = int((~good).sum(dim=1).max())
        if not missing:
            break
        again = model.sample(topology, missing, generators)
        better = _is_sound(topology, parameters, again)
        found, good = _filled(topology, found, good, again, better)
    return found


def _is_sound(topology: Topology, parameters: Parameters, positions: Tensor) -> Tensor:
    return follows_stereo(topology, positions) & bonds_are_whole(topology, parameters.bond_length, positions)


def _filled(topology: Topology, found: Tensor, good: Tensor, again: Tensor, better: Tensor) -> tuple[Tensor, Tensor]:
    """Put the sound ones of `again` in the places of those in `found` that are not."""
    found, good = found.clone(), good.clone()
    for molecule in (~good).any(dim=1).nonzero().flatten().tolist():
        sources = better[molecule].nonzero().flatten()
        places = (~good[molecule]).nonzero().flatten()[: len(sources)]
        atoms = (topology.molecule == molecule).nonzero().flatten()
        found[:, atoms[:, None], places] = again[:, atoms[:, None], sources[: len(places)]]
        good[molecule, places] = True
    return found, good
