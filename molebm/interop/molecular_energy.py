"""What every engine is handed of a molecule: its terms, their parameters, and the residual if the model has one."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from rdkit import Chem

from molebm.chem.cleaning import check_molecule
from molebm.chem.graph import topology_from_mol
from molebm.errors import MoleculeError
from molebm.forcefield.energy import EnergyFn
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import Parameters
from molebm.models.checkpoint import load_model
from molebm.models.couplings import Couplings, ResidualEnergy
from molebm.parametrise import LEARNED, learned_parameters, named_energy
from molebm.topology import Topology


class MolecularEnergy(NamedTuple):
    """The energy of one molecule in vacuum, ready to be written down for an engine."""

    topology: Topology
    parameters: Parameters  # float32
    couplings: Couplings | None  # what is added to the kernel's terms, if the model has it


def molecular_energy(mol: Chem.Mol, energy: str = LEARNED, model: str | Path | None = None) -> MolecularEnergy:
    """Parametrise a molecule with explicit hydrogens, the residual of the model included.

    Parameters
    ----------
    energy
        learned, mmff94 or mmff94s.
    model
        Checkpoint of the learned energy; None for the shipped one.

    Raises
    ------
    MoleculeError
        If hydrogens are missing, and as `check_molecule`; a ForceFieldParameterError if MMFF94 has no types for it.
    RequestError, CheckpointError
        As `named_energy`.
    """
    check_molecule(mol)
    bare = next((atom for atom in mol.GetAtoms() if atom.GetTotalNumHs()), None)
    if bare is not None:
        raise MoleculeError(
            f"atom {bare.GetIdx()} ({bare.GetSymbol()}) of {Chem.MolToSmiles(mol)!r} has hydrogens that are no atoms; "
            "make them explicit by Chem.AddHs(mol, addCoords=True)"
        )
    topology = topology_from_mol(mol)
    if energy != LEARNED:
        return MolecularEnergy(topology, named_energy(energy, model).parametrise([mol], topology), None)
    learned = load_model(model)
    with torch.no_grad():
        couplings = None if learned.residual is None else learned.residual(topology)
    return MolecularEnergy(topology, learned_parameters(learned)([mol], topology), couplings)


def energy_function(
    molecule: MolecularEnergy, dtype: torch.dtype = torch.float32, device: torch.device | str = "cpu"
) -> EnergyFn:
    """Bind the energy for positions (3, N, C) Å there; single precision on the CPU has the kernel in C."""
    topology = molecule.topology.to(device)
    mechanical = MechanicalEnergy(topology, molecule.parameters.to(device, dtype))
    if molecule.couplings is None:
        return mechanical
    return ResidualEnergy(topology, mechanical, molecule.couplings.to(dtype, device))
