"""Capped dipeptides: L amino acids that Amber ff14SB fits, atom by atom in the order of the molecule."""

import openmm
import pytest
import torch
from openmm import app
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdMolDescriptors

from molebm.chem.graph import positions_from_mol
from molebm.errors import ForceFieldParameterError, RequestError
from molebm.references import peptides
from molebm.references.openmm_energy import OpenMMEnergy
from molebm.references.peptides import RESIDUES, capped_dipeptide, peptide_system


def embedded(residue: str) -> Chem.Mol:
    mol = capped_dipeptide(residue)
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    return mol


@pytest.mark.parametrize("residue", RESIDUES)
def test_every_residue_is_of_the_l_series(residue):
    """The CORN rule: seen from the hydrogen, CO, R and N of an L amino acid turn clockwise."""
    alpha = Chem.MolFromSmarts("[CX4;$(C(N)C(=O)N)]")
    mol = capped_dipeptide(residue)
    (centre,) = mol.GetSubstructMatch(alpha)
    labels = dict(Chem.FindMolChiralCenters(mol))
    assert labels.get(centre) == {"GLY": None, "CYS": "R"}.get(residue, "S")


@pytest.mark.parametrize("residue", RESIDUES)
def test_force_field_fits_every_residue(residue):
    mol = embedded(residue)
    system = peptide_system(mol, "none")
    masses = [system.getParticleMass(index).value_in_unit(openmm.unit.dalton) for index in range(mol.GetNumAtoms())]
    assert masses == pytest.approx([atom.GetMass() for atom in mol.GetAtoms()], abs=0.01)
    assert torch.isfinite(OpenMMEnergy(system, platform="Reference")(positions_from_mol(mol))).all()


@pytest.mark.parametrize("residue", ["ALA", "ARG", "ASP", "PRO"])
def test_charges_sum_to_the_formal_charge(residue):
    mol = capped_dipeptide(residue)
    system = peptide_system(mol, "none")
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.NonbondedForce))
    total = sum(force.getParticleParameters(index)[0]._value for index in range(force.getNumParticles()))
    assert total == pytest.approx(Chem.GetFormalCharge(mol), abs=1e-4)


def test_bonds_of_the_system_are_those_of_the_molecule():
    mol = capped_dipeptide("ALA")
    system = peptide_system(mol, "none")
    (force,) = (f for f in system.getForces() if isinstance(f, openmm.HarmonicBondForce))
    found = {frozenset(force.getBondParameters(index)[:2]) for index in range(force.getNumBonds())}
    assert found == {frozenset((b.GetBeginAtomIdx(), b.GetEndAtomIdx())) for b in mol.GetBonds()}


def test_atoms_stand_in_the_order_of_the_residues():
    numbers = [atom.GetPDBResidueInfo().GetResidueNumber() for atom in capped_dipeptide("PHE").GetAtoms()]
    assert numbers == sorted(numbers)
    assert rdMolDescriptors.CalcMolFormula(capped_dipeptide("ALA")) == "C6H12N2O2"


def test_dedicated_obc2_is_the_force_field_of_openmm():
    """To the rounding of OpenMM's constants in the one and the other."""
    mol = embedded("SER")
    files = app.ForceField("amber14-all.xml", "implicit/obc2.xml")
    as_read = files.createSystem(peptides._topology(mol), nonbondedMethod=app.NoCutoff, removeCMMotion=False)
    x = positions_from_mol(mol, torch.float64)
    ours, theirs = (OpenMMEnergy(s, platform="Reference").energy_and_forces(x) for s in (peptide_system(mol), as_read))
    torch.testing.assert_close(ours.energy, theirs.energy, rtol=0, atol=1e-3)
    torch.testing.assert_close(ours.forces, theirs.forces, rtol=1e-4, atol=1e-3)


def test_what_is_unknown_is_named():
    with pytest.raises(RequestError, match="'XYZ'"):
        capped_dipeptide("XYZ")
    with pytest.raises(RequestError, match="'beer'"):
        peptide_system(capped_dipeptide("GLY"), "beer")


def test_molecule_without_residues_is_refused():
    with pytest.raises(ForceFieldParameterError, match="atom 0"):
        peptide_system(Chem.AddHs(Chem.MolFromSmiles("CC(=O)NC")), "none")


def test_residue_that_the_force_field_does_not_know_is_refused():
    mol = Chem.AddHs(Chem.MolFromSmiles("CC(=O)NC"))
    for atom in mol.GetAtoms():
        atom.SetMonomerInfo(Chem.AtomPDBResidueInfo("X", residueName="NMA", residueNumber=1))
    with pytest.raises(ForceFieldParameterError, match="NMA"):
        peptide_system(mol, "none")
