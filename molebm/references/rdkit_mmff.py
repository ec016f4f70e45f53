"""RDKit's own MMFF94 as an energy function: the independent check of the kernel, and quick on one core."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdForceFieldHelpers

from molebm.errors import RequestError
from molebm.forcefield.kernel import TermEnergies
from molebm.references.external import ExternalEnergy
from molebm.references.mmff import mmff_properties


def rdkit_mmff(
    mol: Chem.Mol, variant: str = "MMFF94", *, terms: Collection[str] = TermEnergies._fields
) -> ExternalEnergy:
    """Let RDKit evaluate MMFF94 or MMFF94s of one molecule with explicit hydrogens.

    Conformers of the molecule are neither needed nor changed, and no pair of atoms is cut off.
    `terms` names the kinds of terms to sum, after `TermEnergies`.

    Raises
    ------
    ForceFieldParameterError
        If RDKit cannot type every atom.
    RequestError
        If a kind of term is unknown, or later when the positions are not of this molecule.

    References
    ----------
    Tosco, Stiefl and Landrum, J. Cheminform. 6, 37 (2014).
    """
    unknown = sorted(set(terms) - set(TermEnergies._fields))
    if unknown:
        raise RequestError(f"no kind of term is called {unknown}; choose from {TermEnergies._fields}")
    properties = mmff_properties(mol, variant)
    properties.SetMMFFBondTerm("bond" in terms)
    properties.SetMMFFAngleTerm("angle" in terms)
    properties.SetMMFFStretchBendTerm("stretch_bend" in terms)
    properties.SetMMFFTorsionTerm("torsion" in terms)
    properties.SetMMFFOopTerm("out_of_plane" in terms)
    properties.SetMMFFVdWTerm("van_der_waals" in terms)
    properties.SetMMFFEleTerm("electrostatic" in terms)

    # RDKit lists the pairs when it builds the force field, those within 100 Å in the conformer it is
    # given: here one with all atoms in one place.
    owner = Chem.Mol(mol, quickCopy=True)
    conformer = owner.AddConformer(Chem.Conformer(mol.GetNumAtoms()), assignId=True)
    field = rdForceFieldHelpers.MMFFGetMoleculeForceField(owner, properties, confId=conformer)

    def evaluate(positions: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        if len(positions) != owner.GetNumAtoms():
            raise RequestError(f"the molecule has {owner.GetNumAtoms()} atoms and the positions {len(positions)}")
        flat = positions.ravel().tolist()
        energy = field.CalcEnergy(flat)  # first: CalcGrad reuses the distances found here
        return energy, -np.array(field.CalcGrad(flat)).reshape(-1, 3)

    return ExternalEnergy(evaluate)
