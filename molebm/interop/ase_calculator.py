"""An energy of molebm as a calculator of ASE."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Final

import numpy as np
import torch
from rdkit import Chem

from molebm.errors import MoleculeError, RequestError
from molebm.forcefield.energy import EnergyFn, energy_and_forces
from molebm.interop.molecular_energy import MolecularEnergy, energy_function, molecular_energy
from molebm.models.couplings import ResidualEnergy
from molebm.parametrise import LEARNED
from molebm.references.openmm_energy import OpenMMEnergy
from molebm.references.openmm_export import openmm_system
from molebm.samplers.masses import atomic_masses

try:
    from ase import Atoms, units
    from ase.calculators.calculator import Calculator, all_changes
except ModuleNotFoundError as error:
    raise RequestError('ASE is not installed; install it by pip install "molebm[interop]"') from error

EV_PER_KCAL: Final = units.kcal / units.mol  # ASE's own, which differs in the eighth digit
PRECISIONS: Final = {"single": torch.float32, "double": torch.float64}


class MolebmCalculator(Calculator):
    """Energy and forces of one molecule in vacuum, in eV and eV/Å.

    Bonds are those of the molecule it was made for: atoms given to it must be the same elements in the same order,
    and neither cell nor periodicity are looked at. Single precision is computed by the kernel in C
    and good to 1e-4 eV/Å, double by OpenMM.

    Parameters
    ----------
    mol
        With explicit hydrogens; coordinates are not used.
    energy, model
        As in `molecular_energy`; the residual of a model is evaluated.
    precision
        single or double.

    Raises
    ------
    MoleculeError, RequestError, CheckpointError
        As `molecular_energy`, and a RequestError for another precision.
    """

    implemented_properties: ClassVar[list[str]] = ["energy", "free_energy", "forces"]

    def __init__(
        self, mol: Chem.Mol, energy: str = LEARNED, model: str | Path | None = None, *, precision: str = "single"
    ) -> None:
        super().__init__()
        if precision not in PRECISIONS:
            raise RequestError(f"the precision is {precision!r}; it must be single or double")
        molecule = molecular_energy(mol, energy, model)
        self._dtype = PRECISIONS[precision]
        self._numbers = molecule.topology.atomic_numbers.numpy()
        self._energy_fn = energy_function(molecule) if precision == "single" else _in_double(molecule)

    def calculate(
        self,
        atoms: Atoms | None = None,
        properties: list[str] | None = None,
        system_changes: list[str] = all_changes,
    ) -> None:
        """Evaluate the atoms, whatever is asked of them.

        Raises
        ------
        MoleculeError
            If they are not those of the molecule.
        """
        super().calculate(atoms, properties, system_changes)
        if not np.array_equal(self.atoms.numbers, self._numbers):
            raise MoleculeError(
                f"the atoms are {self.atoms.get_chemical_formula()} in an order that is not that of the molecule this "
                "calculator was made for; make one for these atoms"
            )
        positions = self.atoms.positions
        x = torch.from_numpy((positions - positions.mean(axis=0)).T[:, :, None]).to(self._dtype).contiguous()
        found = energy_and_forces(self._energy_fn, x)
        energy = found.energy.item() * EV_PER_KCAL
        forces = found.forces[:, :, 0].T.double().numpy() * EV_PER_KCAL
        self.results = {"energy": energy, "free_energy": energy, "forces": forces}


def _in_double(molecule: MolecularEnergy) -> EnergyFn:
    """Let OpenMM evaluate the kernel one conformer at a time, much faster than PyTorch does."""
    topology = molecule.topology
    system = openmm_system(topology, molecule.parameters.to(dtype=torch.float64), atomic_masses(topology))
    mechanical = OpenMMEnergy(system, platform="Reference")
    if molecule.couplings is None:
        return mechanical
    return ResidualEnergy(topology, mechanical, molecule.couplings.to(torch.float64))


def to_ase(
    mol: Chem.Mol,
    energy: str = LEARNED,
    model: str | Path | None = None,
    *,
    conformer_id: int = -1,
    precision: str = "single",
) -> Any:
    """Return the `ase.Atoms` of one conformer, with a `MolebmCalculator` that gives its energy and forces.

    Raises
    ------
    MoleculeError
        If the molecule has no such conformer, and as `MolebmCalculator`.
    """
    present = [conformer.GetId() for conformer in mol.GetConformers()]
    if not present or (conformer_id != -1 and conformer_id not in present):
        raise MoleculeError(f"{Chem.MolToSmiles(mol)!r} has no conformer {conformer_id}; embed or generate it first")
    calculator = MolebmCalculator(mol, energy, model, precision=precision)
    numbers = [atom.GetAtomicNum() for atom in mol.GetAtoms()]
    return Atoms(numbers=numbers, positions=mol.GetConformer(conformer_id).GetPositions(), calculator=calculator)
