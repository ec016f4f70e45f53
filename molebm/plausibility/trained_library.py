"""Novelty by a model of the family that was trained on a library before."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

import torch
from rdkit import Chem

from molebm.chem.featurising import featuriser
from molebm.chem.fingerprints import Atoms, Maccs, Morgan
from molebm.chem.reading import read_molecules
from molebm.errors import CheckpointError
from molebm.family.checkpoint import TrainedEnergy, load_trained
from molebm.family.features import FEATURES, as_read
from molebm.plausibility.novelty import Blame, Library, Novel, Novelty
from molebm.plausibility.surprise import conformal_p_value

_FINGERPRINTS: Final[dict[str, Callable[..., Morgan | Maccs]]] = {"morgan": Morgan, "maccs": Maccs}


class TrainedLibrary:
    """The energy of a trained model, held against that of the molecules that were held out of its training.

    Raises
    ------
    CheckpointError
        If the model reads no features of single molecules, or has no energies to be held against.
    """

    def __init__(self, trained: TrainedEnergy) -> None:
        made, calibration = trained.metadata.get(FEATURES), trained.metadata.get("calibration")
        if made is None or not calibration:
            raise CheckpointError(
                "the model of the library reads no features, or knows no held-out molecules; train it on what "
                "`molebm featurise` writes of at least some dozens of molecules"
            )
        self._model, self._calibration = trained.model, calibration
        self._featurise = featuriser(made["name"], made["settings"])
        fingerprint = _FINGERPRINTS.get(made["name"])
        self._fingerprint = None if fingerprint is None else fingerprint(**made["settings"])

    def novelty(self, mol: Chem.Mol) -> Novelty:
        """Return the energy, its p-value and, of bits, by how much each that is set makes it higher."""
        x = as_read(self._featurise(mol)["x"])[None]
        with torch.no_grad():
            energy = float(self._model.energy(x))
        p_value = float(conformal_p_value(energy, self._calibration))
        return Novelty(energy, p_value, self._blames(mol, x, energy))

    def _blames(self, mol: Chem.Mol, x: torch.Tensor, energy: float) -> list[Blame]:
        if self._fingerprint is None:
            return []
        found = self._fingerprint.atoms_of_bits(mol)
        set_bits = sorted(found)
        without = x.repeat(len(set_bits), 1)
        without[torch.arange(len(set_bits)), set_bits] = 0
        with torch.no_grad():
            costs = (energy - self._model.energy(without)).tolist()
        blames = [
            Blame(atoms, cost / len(places), _words(mol, atoms, cost / len(places)))
            for bit, cost in zip(set_bits, costs, strict=True)
            if cost > 0
            for places in [found[bit]]
            for atoms in places
        ]
        return sorted(blames, key=lambda blame: -blame.energy)


def read_library(source: str) -> Novel:
    """Read known molecules from any file of them, or a trained model of the family by its .safetensors or .json.

    Raises
    ------
    RequestError, CheckpointError
        If it cannot be read, or holds too few molecules.
    """
    if Path(source).suffix in (".safetensors", ".json"):
        return TrainedLibrary(load_trained(source))
    return Library(record.mol for record in read_molecules(source))


def _words(mol: Chem.Mol, atoms: Atoms, cost: float) -> str:
    names = " ".join(f"{mol.GetAtomWithIdx(atom).GetSymbol()}{atom}" for atom in atoms)
    return f"with {names} the library's energy is {cost:.1f} higher"
