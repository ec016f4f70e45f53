"""A molecule in OpenMM has the energy that it has here, on every platform, with the residual and through XML."""

import openmm
import pytest
import torch
from openmm import unit
from rdkit import Chem

import molebm
from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import MoleculeError, RequestError
from molebm.forcefield.energy import energy_and_forces
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.interop.molecular_energy import energy_function, molecular_energy
from molebm.interop.openmm_system import RESIDUAL_GROUP
from molebm.models.checkpoint import load_model
from molebm.models.couplings import ResidualEnergy
from molebm.parametrise import named_energy
from molebm.references.openmm_energy import OpenMMEnergy

TOLERANCE = 1e-3  # kcal/mol
DRUGS = ["acetylsalicylic-acid", "acetylcholine", "amiloride", "ambroxol"]


@pytest.mark.parametrize("name", DRUGS)
@pytest.mark.parametrize("energy", ["learned", "mmff94"])
@pytest.mark.parametrize("platform", ["Reference", "CPU"])
def test_drugs_have_the_energy_of_the_kernel(name, energy, platform, drugs, embedded):
    mol = embedded(drugs[name])
    x = positions_from_mol(mol)
    ours = energy_and_forces(energy_function(molecular_energy(mol, energy)), x)
    theirs = OpenMMEnergy(molebm.to_openmm(mol, energy), platform=platform).energy_and_forces(x)
    torch.testing.assert_close(theirs.energy.float(), ours.energy, rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(theirs.forces.float(), ours.forces, rtol=1e-4, atol=5e-3)


def test_the_residual_is_added_with_its_forces(residual_model, embedded):
    mol = embedded("C[C@H](O)c1ccncc1C(=O)N")
    x = positions_from_mol(mol, torch.float64)
    topology, model = topology_from_mol(mol), load_model(residual_model)
    mechanical = MechanicalEnergy(topology, model.parameters(topology).to(dtype=x.dtype))
    ours = ResidualEnergy(topology, mechanical, model.residual.double()(topology)).energy_and_forces(x)
    system = molebm.to_openmm(mol, model=residual_model)
    for platform in ("Reference", "CPU"):
        theirs = OpenMMEnergy(system, platform=platform).energy_and_forces(x)
        torch.testing.assert_close(theirs.energy, ours.energy, rtol=0, atol=TOLERANCE)
        torch.testing.assert_close(theirs.forces, ours.forces, rtol=1e-4, atol=5e-3)
    without = OpenMMEnergy(molebm.to_openmm(mol), platform="Reference")(x)
    assert (ours.energy - without).abs().item() > 0.1  # there is something to test


@pytest.mark.parametrize("with_residual", [False, True])
def test_a_system_survives_xml(with_residual, residual_model, embedded):
    mol = embedded("CC(=O)NC")
    x = positions_from_mol(mol, torch.float64)
    system = molebm.to_openmm(mol, model=residual_model if with_residual else None)
    read = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(system))
    before, after = (OpenMMEnergy(each, platform="Reference")(x) for each in (system, read))
    torch.testing.assert_close(after, before, rtol=0, atol=0)
    assert [force.getName() for force in read.getForces()] == [force.getName() for force in system.getForces()]


def test_the_residual_has_a_force_group_of_its_own(residual_model, embedded):
    mol = embedded("CCO")
    context = OpenMMEnergy(molebm.to_openmm(mol, model=residual_model), platform="Reference").context
    context.setPositions(mol.GetConformer().GetPositions() * unit.angstrom)
    whole, residual = (context.getState(energy=True, groups=g).getPotentialEnergy() for g in (-1, {RESIDUAL_GROUP}))
    kernel = context.getState(energy=True, groups=set(range(RESIDUAL_GROUP))).getPotentialEnergy()
    assert residual != kernel
    assert (whole - residual - kernel).value_in_unit(unit.kilojoule_per_mole) == pytest.approx(0, abs=1e-9)


def test_dynamics_without_a_thermostat_conserve_the_energy(residual_model, embedded):
    mol = embedded("CCO")
    for model in (None, residual_model):
        integrator = openmm.VerletIntegrator(0.25 * unit.femtosecond)
        platform = openmm.Platform.getPlatformByName("Reference")
        context = openmm.Context(molebm.to_openmm(mol, model=model), integrator, platform)
        context.setPositions(mol.GetConformer().GetPositions() * unit.angstrom)
        openmm.LocalEnergyMinimizer.minimize(context)
        context.setVelocitiesToTemperature(300, 1)
        totals = []
        for _ in range(20):
            integrator.step(10)
            state = context.getState(energy=True)
            totals.append((state.getPotentialEnergy() + state.getKineticEnergy()) / unit.kilocalorie_per_mole)
        assert max(totals) - min(totals) < 0.05


def test_hydrogens_can_be_made_heavier_and_the_molecule_is_not(embedded):
    mol = embedded("CCO")
    plain, heavy = molebm.to_openmm(mol), molebm.to_openmm(mol, hydrogen_mass=3.0)
    masses = [[s.getParticleMass(i) / unit.dalton for i in range(mol.GetNumAtoms())] for s in (plain, heavy)]
    assert masses[1][-1] == pytest.approx(3)
    assert sum(masses[0]) == pytest.approx(sum(masses[1]))


def test_missing_hydrogens_are_told():
    with pytest.raises(MoleculeError, match="AddHs"):
        molebm.to_openmm(Chem.MolFromSmiles("CCO"))


def test_what_cannot_evaluate_a_residual_refuses_the_model(residual_model):
    with pytest.raises(RequestError, match="residual"):
        named_energy("learned", residual_model)
    with pytest.raises(RequestError, match="residual"):
        molebm.generate("CCO", model=residual_model)
    with pytest.raises(RequestError, match="residual"):
        molebm.score([], model=residual_model)
