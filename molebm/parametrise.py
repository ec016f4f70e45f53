"""The energies a user can name, as functions from molecules to the parameters of the kernel."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

import torch
from rdkit import Chem
from torch import Tensor

from molebm.errors import RequestError
from molebm.forcefield.parameters import Parameters, concatenate_parameters
from molebm.models.checkpoint import LearnedModel, load_model
from molebm.references.mmff import mmff_parameters
from molebm.topology import Topology

Parametrise = Callable[[Sequence[Chem.Mol], Topology], Parameters]
"""Maps molecules with explicit hydrogens and their concatenated topology to its parameters, float32, on its device."""

LEARNED: Final = "learned"
MMFF_VARIANTS: Final = {"mmff94": "MMFF94", "mmff94s": "MMFF94s"}
ENERGIES: Final = (LEARNED, *MMFF_VARIANTS)


class NamedEnergy(NamedTuple):
    """Where the parameters of an energy come from."""

    name: str
    parametrise: Parametrise


def named_energy(name: str, model: str | Path | None = None) -> NamedEnergy:
    """Return the energy of that name; `model` is the checkpoint of the learned one, or None for the shipped one.

    Raises
    ------
    RequestError
        If no energy has that name, a model is given for one that is not learned, or the model has a residual,
        which is no parameter of the kernel.
    CheckpointError
        If the checkpoint is missing, damaged or of another version.
    """
    if name not in ENERGIES:
        raise RequestError(f"no energy is called {name!r}; choose from {', '.join(ENERGIES)}")
    if name == LEARNED:
        learned = load_model(model)
        if learned.residual is not None:
            raise RequestError(
                f"the model '{model}' has a residual, which this leaves out; run it in OpenMM, ASE or torch-sim "
                "(docs/interop.md), or train without [residual]"
            )
        return NamedEnergy(name, learned_parameters(learned))
    if model is not None:
        raise RequestError(f"the energy {name!r} has no model to load; leave '{model}' out, or use {LEARNED!r}")
    return NamedEnergy(name, mmff(MMFF_VARIANTS[name]))


def learned_parameters(model: LearnedModel) -> Parametrise:
    """Let the network predict the parameters, from the topology alone."""

    def parametrise(mols: Sequence[Chem.Mol], topology: Topology) -> Parameters:
        return model.parameters(topology)

    return parametrise


def mmff(variant: str = "MMFF94") -> Parametrise:
    """Look up the parameters of MMFF94 or MMFF94s; a molecule it cannot type is a ForceFieldParameterError."""

    def parametrise(mols: Sequence[Chem.Mol], topology: Topology) -> Parameters:
        parts = zip(mols, _mmff_terms(topology.to("cpu")), strict=True)
        parameters = concatenate_parameters([mmff_parameters(mol, terms, variant) for mol, terms in parts])
        return parameters.to(topology.device, torch.float32)

    return parametrise


def _mmff_terms(topology: Topology) -> Iterator[Topology]:
    """Give each molecule its own terms again, those that MMFF looks up, with atoms counted from its first."""
    starts = topology.atoms_per_molecule().cumsum(0) - topology.atoms_per_molecule()

    def parts(terms: Tensor) -> list[Tensor]:
        molecule = topology.molecule[terms[0]]
        counts = torch.bincount(molecule, minlength=topology.n_molecules)
        return list(torch.split(terms - starts[molecule], counts.tolist(), dim=1))

    kinds = ("bonds", "angles", "torsions", "impropers", "pairs")
    for terms in zip(*(parts(getattr(topology, kind)) for kind in kinds), strict=True):
        yield replace(topology, **dict(zip(kinds, terms, strict=True)), n_molecules=1)
