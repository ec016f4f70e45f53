"""molebm as a potential of OpenMM-ML: ``MLPotential("molebm")``, found through its entry point.

Imported whenever openmmml is: what takes time to import waits until a system is made.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from openmmml.mlpotential import MLPotentialImpl, MLPotentialImplFactory

from molebm.errors import RequestError

if TYPE_CHECKING:
    from pathlib import Path

    import openmm
    from rdkit import Chem


class MolebmPotentialFactory(MLPotentialImplFactory):
    """Makes a `MolebmPotential` for ``MLPotential("molebm", energy=..., model=...)``."""

    def createImpl(  # noqa: N802
        self, name: str, energy: str = "learned", model: str | Path | None = None, **args: object
    ) -> MolebmPotential:
        """Take which energy it is, as in `to_openmm`.

        Raises
        ------
        RequestError
            If there are other arguments.
        """
        if args:
            raise RequestError(f"{name} takes energy and model, not {', '.join(args)}; leave that out")
        return MolebmPotential(energy, model)


class MolebmPotential(MLPotentialImpl):
    """Adds an energy of molebm to the systems that OpenMM-ML makes, for one molecule at a time."""

    def __init__(self, energy: str, model: str | Path | None) -> None:
        self.energy = energy
        self.model = model

    def addForces(  # noqa: N802
        self,
        topology: openmm.app.Topology,
        system: openmm.System,
        atoms: Iterable[int] | None,
        forceGroup: int,
        mol: Chem.Mol | None = None,
        smiles: str | None = None,
        **args: Any,
    ) -> None:
        """Add the native forces of the energy, and that of the residual if the model has one.

        Parameters
        ----------
        mol
            The molecule that the atoms are, in their order and with all hydrogens.
        smiles
            Or what they are by elements and bonds, which the topology must have.
        args
            What OpenMM-ML has for other potentials and for embeddings.

        Raises
        ------
        RequestError
            If neither a molecule nor a SMILES is given, or both.
        MoleculeError
            If the atoms are not those, and as `to_openmm`.
        """
        from molebm.interop.molecular_energy import molecular_energy
        from molebm.interop.openmm_molecules import check_same_atoms, molecule_in, particles_of
        from molebm.interop.openmm_system import energy_forces

        particles = particles_of(system, None if atoms is None else list(atoms))
        if (mol is None) == (smiles is None):
            raise RequestError(
                "a topology says nothing of charges and bond orders; give the molecule as mol=..., or as smiles=..."
            )
        if mol is None and smiles is not None:
            mol = molecule_in(topology, particles, smiles)
        check_same_atoms(mol, topology, particles)
        for force in energy_forces(molecular_energy(mol, self.energy, self.model), particles):
            force.setForceGroup(forceGroup)
            system.addForce(force)

    def getMLLongRange(self) -> bool:  # noqa: N802
        """Say that a molecule does not feel its own images in a periodic box."""
        return False
