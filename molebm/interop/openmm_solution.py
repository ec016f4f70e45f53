"""A molecule in a box of water: its own terms by an energy of molebm, all else by a force field."""

from __future__ import annotations

import io
from itertools import combinations
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import openmm
from numpy.typing import NDArray
from openmm import app, unit
from rdkit import Chem

from molebm.errors import MoleculeError, RequestError
from molebm.interop.molecular_energy import MolecularEnergy, molecular_energy
from molebm.interop.openmm_ligand import ligand_template
from molebm.interop.openmm_molecules import openmm_topology
from molebm.interop.openmm_system import energy_forces
from molebm.parametrise import LEARNED

WATER: Final = "amber14/tip3p.xml"
ROOM_TO_SHRINK: Final = 1.2  # of a fresh box, which gets smaller at constant pressure


class Solution(NamedTuple):
    """All that a simulation of a molecule in water starts from."""

    system: openmm.System
    topology: app.Topology
    positions: NDArray[np.float64]  # (n, 3) Å, the molecule first; water not yet relaxed
    n_solute: int  # atoms of the molecule


def in_water(
    mol: Chem.Mol,
    energy: str = LEARNED,
    model: str | Path | None = None,
    *,
    conformer_id: int = -1,
    padding: float = 12.0,
    cutoff: float = 9.0,
) -> Solution:
    """Put one conformer into a cube of rigid TIP3P water, with PME for what is not the molecule's own.

    Within the molecule there is the energy and nothing else, in vacuum as always. With water it interacts by MMFF94's
    charges and van der Waals minima, see `ligand_template`. A charged molecule is not neutralised by ions: PME spreads
    the opposite charge evenly. Bonds of the molecule are flexible: take steps of 1 fs.

    Parameters
    ----------
    energy, model
        As in `to_openmm`.
    padding
        Å, the least distance between the molecule and its images.
    cutoff
        Å, of van der Waals interactions and of the direct part of PME.

    Raises
    ------
    RequestError
        If the box would be too small for the cutoff when it relaxes.
    MoleculeError, CheckpointError
        As `to_openmm`, and if the molecule has no such conformer; a ForceFieldParameterError as `ligand_template`.
    """
    molecule = molecular_energy(mol, energy, model)
    x = _positions(mol, conformer_id)
    if padding < ROOM_TO_SHRINK * cutoff:
        raise RequestError(
            f"padding of {padding:g} Å makes a box too narrow for a cutoff of {cutoff:g} Å; "
            f"ask for {ROOM_TO_SHRINK * cutoff:g} Å or more"
        )
    force_field = app.ForceField(WATER)
    force_field.loadFile(io.StringIO(ligand_template(mol)))
    modeller = app.Modeller(openmm_topology(mol), x * unit.angstrom)
    modeller.addSolvent(force_field, padding=padding * unit.angstrom, neutralize=False)
    system = force_field.createSystem(
        modeller.topology, nonbondedMethod=app.PME, nonbondedCutoff=cutoff * unit.angstrom, rigidWater=True
    )
    replace_own_terms(system, molecule, list(range(mol.GetNumAtoms())))
    positions = np.array(modeller.positions.value_in_unit(unit.angstrom))
    return Solution(system, modeller.topology, positions, mol.GetNumAtoms())


def replace_own_terms(system: openmm.System, molecule: MolecularEnergy, particles: list[int]) -> None:
    """Take every non-bonded interaction within a molecule out of a system and put its energy in, in place.

    The system must have no bonded terms of the molecule, as where it was made with its `ligand_template`.
    """
    for force in system.getForces():
        if isinstance(force, openmm.NonbondedForce):
            for first, second in combinations(particles, 2):
                force.addException(first, second, 0.0, 1.0, 0.0, True)
    for force in energy_forces(molecule, particles):
        system.addForce(force)


def _positions(mol: Chem.Mol, conformer_id: int) -> NDArray[np.float64]:
    try:
        return mol.GetConformer(conformer_id).GetPositions()
    except ValueError as error:
        smiles = Chem.MolToSmiles(mol)
        raise MoleculeError(f"{smiles!r} has no conformer {conformer_id}; embed or generate it first") from error
