"""A molecule in water: its own energy is untouched, water sees MMFF94's minima, and dynamics are stable."""

import io
import math

import numpy as np
import openmm
import pytest
from openmm import app, unit
from rdkit import Chem

import molebm
from molebm.chem.graph import positions_from_mol
from molebm.errors import MoleculeError, RequestError
from molebm.interop.molecular_energy import molecular_energy
from molebm.interop.openmm_ligand import (
    TIP3P_DEPTH,
    TIP3P_RADIUS,
    lennard_jones,
    ligand_template,
    water_contacts,
)
from molebm.interop.openmm_molecules import openmm_topology
from molebm.interop.openmm_solution import in_water, replace_own_terms
from molebm.references.openmm_energy import OpenMMEnergy
from molebm.units import COULOMB

KCAL = unit.kilocalorie_per_mole


@pytest.fixture(scope="module")
def ethanol(embedded):
    return embedded("CCO")


@pytest.fixture(scope="module")
def solution(ethanol):
    return in_water(ethanol, padding=8.0, cutoff=6.0)


def test_a_pair_with_water_has_the_minimum_of_mmff94(ethanol):
    for contact in water_contacts(ethanol):
        sigma, epsilon = lennard_jones(contact)
        assert (sigma * 2 ** (1 / 6) + TIP3P_RADIUS) / 2 == pytest.approx(contact.radius)
        assert math.sqrt(epsilon * TIP3P_DEPTH) == pytest.approx(contact.depth)


def test_hydrogen_bonds_are_shorter_than_other_contacts(ethanol):
    contacts = water_contacts(ethanol)
    assert contacts[-1].radius < 2.6 < 3.3 < contacts[3].radius  # Å; hydrogens of O and of C
    assert sum(contact.charge for contact in contacts) == pytest.approx(0, abs=1e-6)


def test_one_molecule_beside_one_water_is_the_sum_of_its_parts(ethanol):
    """Nothing is cut off, so the energy can be added up by hand."""
    force_field = app.ForceField("amber14/tip3p.xml")
    force_field.loadFile(io.StringIO(ligand_template(ethanol)))
    x = ethanol.GetConformer().GetPositions()
    water = x.mean(axis=0) + np.array([[4.0, 0, 0], [4.9572, 0, 0], [3.7600, 0.9266, 0]])
    modeller = app.Modeller(openmm_topology(ethanol), x * unit.angstrom)
    modeller.add(_water_topology(), water * unit.angstrom)
    system = force_field.createSystem(modeller.topology, rigidWater=True)
    replace_own_terms(system, molecular_energy(ethanol), list(range(9)))
    context = openmm.Context(system, openmm.VerletIntegrator(1.0), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(modeller.positions)
    together = context.getState(energy=True).getPotentialEnergy().value_in_unit(KCAL)
    expected = OpenMMEnergy(molebm.to_openmm(ethanol), platform="Reference")(positions_from_mol(ethanol)).item()
    for atom, contact in zip(x, water_contacts(ethanol), strict=True):
        distances = np.linalg.norm(water - atom, axis=1)
        expected += COULOMB * contact.charge * float((np.array([-0.834, 0.417, 0.417]) / distances).sum())
        ratio6 = (contact.radius / distances[0]) ** 6
        expected += contact.depth * (ratio6**2 - 2 * ratio6)
    assert together == pytest.approx(expected, abs=2e-3)


def test_the_box_holds_the_molecule_and_water_alone(solution, ethanol):
    names = [residue.name for residue in solution.topology.residues()]
    assert names[0] == "LIG"
    assert set(names[1:]) == {"HOH"}
    np.testing.assert_allclose(solution.positions[:9], ethanol.GetConformer().GetPositions(), atol=1e-6)
    assert solution.system.getNumParticles() == len(solution.positions)


def test_a_short_run_at_constant_pressure_is_stable(solution):
    """The molecule stays whole, the temperature that of the bath, the density near that of water."""
    system = openmm.XmlSerializer.deserialize(openmm.XmlSerializer.serialize(solution.system))
    barostat = openmm.MonteCarloBarostat(1 * unit.bar, 300 * unit.kelvin, 10)
    barostat.setRandomNumberSeed(1)
    system.addForce(barostat)
    integrator = openmm.LangevinMiddleIntegrator(300 * unit.kelvin, 5 / unit.picosecond, 1 * unit.femtosecond)
    integrator.setRandomNumberSeed(1)
    platform = openmm.Platform.getPlatformByName("CPU")
    simulation = app.Simulation(solution.topology, system, integrator, platform, {"Threads": "1"})
    simulation.context.setPositions(solution.positions * unit.angstrom)
    simulation.minimizeEnergy(maxIterations=30)
    simulation.context.setVelocitiesToTemperature(300, 1)
    simulation.step(400)
    state = simulation.context.getState(energy=True, positions=True)
    n_waters = (system.getNumParticles() - solution.n_solute) // 3
    n_degrees = 3 * solution.n_solute + 6 * n_waters
    temperature = 2 * state.getKineticEnergy() / (n_degrees * unit.MOLAR_GAS_CONSTANT_R)
    assert temperature.value_in_unit(unit.kelvin) == pytest.approx(300, abs=90)  # 5 standard deviations
    x = state.getPositions(asNumpy=True).value_in_unit(unit.angstrom)[: solution.n_solute]
    bonds = [(a.index, b.index) for a, b in list(solution.topology.bonds())[:8]]
    lengths = [np.linalg.norm(x[a] - x[b]) for a, b in bonds]
    assert 0.8 < min(lengths) < max(lengths) < 1.8
    volume = state.getPeriodicBoxVolume().value_in_unit(unit.angstrom**3)
    assert 0.7 < n_waters * 29.9 / volume < 1.2  # Å³ of a water molecule


def test_constant_energy_is_conserved(solution):
    integrator = openmm.VerletIntegrator(0.5 * unit.femtosecond)
    integrator.setConstraintTolerance(1e-7)
    platform = openmm.Platform.getPlatformByName("CPU")
    context = openmm.Context(solution.system, integrator, platform, {"Threads": "1"})
    context.setPositions(solution.positions * unit.angstrom)
    openmm.LocalEnergyMinimizer.minimize(context, maxIterations=50)
    context.setVelocitiesToTemperature(300, 1)
    integrator.step(20)
    totals = []
    for _ in range(10):
        integrator.step(20)
        state = context.getState(energy=True)
        totals.append((state.getPotentialEnergy() + state.getKineticEnergy()).value_in_unit(KCAL))
    assert max(totals) - min(totals) < 1.0  # of some 400 kcal/mol of kinetic energy


def test_what_cannot_be_dissolved_is_told(ethanol):
    with pytest.raises(RequestError, match="padding"):
        in_water(ethanol, padding=2.0)
    with pytest.raises(MoleculeError, match="no conformer"):
        in_water(Chem.AddHs(Chem.MolFromSmiles("CCO")))


def _water_topology():
    topology = app.Topology()
    residue = topology.addResidue("HOH", topology.addChain())
    oxygen, *hydrogens = (
        topology.addAtom(name, app.Element.getBySymbol(name[0]), residue) for name in ("O", "H1", "H2")
    )
    for hydrogen in hydrogens:
        topology.addBond(oxygen, hydrogen)
    return topology
