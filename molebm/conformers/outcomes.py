"""What becomes of each molecule: an ensemble, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from molebm.conformers.weights import boltzmann_weights
from molebm.figures.views import view

ENERGY: Final = "energy_kcal_mol"
RELATIVE_ENERGY: Final = "relative_energy_kcal_mol"
WEIGHT: Final = "boltzmann_weight"
STEREOISOMER: Final = "stereoisomer"
INPUT_RECORD: Final = "input_record"

ALL_PROPERTIES: Final = int(Chem.PropertyPickleOptions.AllProps) | int(Chem.PropertyPickleOptions.CoordsAsDouble)


@dataclass(frozen=True, slots=True)
class Ensemble:
    """The conformers of one molecule by rising energy."""

    name: str
    input: str
    mol: Chem.Mol  # hydrogens explicit; each of C conformers carries the numbers below as properties
    energies: NDArray[np.float64]  # (C,) kcal/mol
    weights: NDArray[np.float64]  # (C,) of Boltzmann, summing to 1

    def view(self, *, animated: bool = False, hydrogens: bool = True, size: tuple[int, int] = (480, 360)) -> Any:
        """Show the conformers in a notebook; see `molebm.figures.view`."""
        return view(self.mol, animated=animated, hydrogens=hydrogens, size=size)

    def __reduce__(self) -> tuple[Callable[..., Ensemble], tuple[Any, ...]]:
        """Travel between processes with properties and full coordinates, which RDKit leaves out by default."""
        return _restored, (self.name, self.input, self.mol.ToBinary(ALL_PROPERTIES), self.energies, self.weights)


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a molecule has no conformers, and what can be done about it."""

    name: str
    input: str
    reason: str
    cure: str


Outcome: TypeAlias = Ensemble | Failure
Outcomes: TypeAlias = list[Outcome]
"""Of one record: a single one, or one for each stereoisomer where these are enumerated; never none."""


def isomer_name(name: str, number: int, count: int) -> str:
    """Add its number, from 1, to the name of an isomer that is not the only one of its record."""
    return name if count == 1 else f"{name}_{number}"


def ensemble(
    name: str,
    source: str,
    mol: Chem.Mol,
    positions: NDArray[np.float64],
    energies: NDArray[np.float64],
    free_energies: NDArray[np.float64],
    temperature: float,
    stereoisomer: str | None = None,
    record: int | None = None,
) -> Ensemble:
    """Give a molecule its conformers, positions (C, N, 3) Å by rising energy, and their weights at a temperature.

    The weights follow from the free energies (C,) kcal/mol, which may be the energies themselves. `stereoisomer` is
    its SMILES, where it is one of several isomers of a record, and
    `record` the position of that record in the input.
    """
    weights = boltzmann_weights(free_energies, temperature)
    mol = Chem.Mol(mol)
    mol.RemoveAllConformers()
    mol.SetProp("_Name", name)
    for frame, energy, weight in zip(positions, energies, weights, strict=True):
        conformer = Chem.Conformer(mol.GetNumAtoms())
        conformer.Set3D(True)
        conformer.SetPositions(np.ascontiguousarray(frame))
        conformer.SetDoubleProp(ENERGY, float(energy))
        conformer.SetDoubleProp(RELATIVE_ENERGY, float(energy - energies[0]))
        conformer.SetDoubleProp(WEIGHT, float(weight))
        if stereoisomer is not None:
            conformer.SetProp(STEREOISOMER, stereoisomer)
        if record is not None:
            conformer.SetIntProp(INPUT_RECORD, record)
        mol.AddConformer(conformer, assignId=True)
    return Ensemble(name, source, mol, energies, weights)


def failure(name: str, source: str, error: Exception | str) -> Failure:
    """Split a message, which says what is wrong and after the last semicolon what to do about it."""
    reason, _, cure = str(error).rpartition("; ")
    return Failure(name, source, reason or cure, cure if reason else "correct this input or leave it out")


def _restored(
    name: str, source: str, binary: bytes, energies: NDArray[np.float64], weights: NDArray[np.float64]
) -> Ensemble:
    return Ensemble(name, source, Chem.Mol(binary), energies, weights)
