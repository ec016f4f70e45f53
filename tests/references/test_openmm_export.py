"""The exported `openmm.System` is the kernel: every kind of term, its forces, and through a file."""

import numpy as np
import openmm
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import RequestError
from molebm.forcefield import kernel
from molebm.forcefield.kernel import TermEnergies
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import Parameters, concatenate_parameters
from molebm.references.mmff import mmff_parameters
from molebm.references.openmm_energy import OpenMMEnergy
from molebm.references.openmm_export import openmm_system
from molebm.references.rdkit_mmff import rdkit_mmff
from molebm.topology import Topology, concatenate

TOLERANCE = 1e-6  # kcal/mol; both sides are in float64
N_DRUGS = 5


def embedded(smiles: str) -> Chem.Mol:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, 2, randomSeed=3)
    return mol


def noisy_positions(mol: Chem.Mol) -> torch.Tensor:
    x = positions_from_mol(mol, torch.float64)
    return x + 0.05 * torch.randn(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))


def random_parameters(topology: Topology, n_harmonics: int = 6) -> Parameters:
    """Draw a point of parameter space that is no force field's."""
    generator = torch.Generator().manual_seed(5)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)

    n_angles, n_pairs = topology.angles.shape[1], topology.pairs.shape[1]
    return Parameters(
        bond_k=uniform(300, 900, topology.bonds.shape[1]),
        bond_length=uniform(1.0, 1.6, topology.bonds.shape[1]),
        angle_k=uniform(30, 150, n_angles),
        angle_theta=uniform(1.7, 2.2, n_angles),
        angle_linear=uniform(0, 1, n_angles) < 0.2,
        stretch_bend_k=uniform(-20, 60, 2, n_angles),
        torsion_v=uniform(-3, 3, n_harmonics, topology.torsions.shape[1]),
        improper_k=uniform(-5, 20, topology.impropers.shape[1]),
        pair_radius=uniform(2.0, 4.0, n_pairs),
        pair_depth=uniform(0.01, 0.2, n_pairs),
        charge=uniform(-0.8, 0.8, topology.n_atoms),
    )


def carbon_masses(topology: Topology) -> torch.Tensor:
    return torch.full((topology.n_atoms,), 12.0)


def exported(topology: Topology, parameters: Parameters) -> openmm.System:
    return openmm_system(topology, parameters, carbon_masses(topology))


def assert_is_the_kernel(topology: Topology, parameters: Parameters, x: torch.Tensor) -> None:
    ours = MechanicalEnergy(topology, parameters).energy_and_forces(x)
    theirs = OpenMMEnergy(exported(topology, parameters), platform="Reference").energy_and_forces(x)
    torch.testing.assert_close(theirs.energy, ours.energy.sum(0, keepdim=True), rtol=0, atol=TOLERANCE)
    torch.testing.assert_close(theirs.forces, ours.forces, rtol=TOLERANCE, atol=TOLERANCE)


def test_drugs_have_the_energy_and_forces_of_the_kernel_and_of_rdkit(drugs):
    for smiles in list(drugs.values())[:: len(drugs) // N_DRUGS]:
        mol = embedded(smiles)
        topology, x = topology_from_mol(mol), noisy_positions(mol)
        parameters = mmff_parameters(mol, topology)
        assert_is_the_kernel(topology, parameters, x)
        theirs = OpenMMEnergy(exported(topology, parameters), platform="Reference")(x)
        torch.testing.assert_close(theirs, rdkit_mmff(mol)(x), rtol=0, atol=1e-5)


@pytest.mark.parametrize("n_harmonics", [1, 3, 6])
def test_any_parameters_export_with_any_number_of_torsion_harmonics(n_harmonics):
    mol = embedded("CC(=O)NCC#N")
    topology = topology_from_mol(mol)
    assert_is_the_kernel(topology, random_parameters(topology, n_harmonics), noisy_positions(mol))


def test_each_kind_of_term_is_a_force_group():
    mol = embedded("N#CCC(=O)NC")
    topology, x = topology_from_mol(mol), noisy_positions(mol)
    parameters = mmff_parameters(mol, topology)
    terms = kernel.per_molecule(topology, kernel.per_term(topology, parameters, x))
    context = OpenMMEnergy(exported(topology, parameters), platform="Reference").context
    context.setPositions(x[:, :, 0].T.numpy() / 10)
    for group, (name, ours) in enumerate(zip(TermEnergies._fields, terms, strict=True)):
        forces = context.getSystem().getForces()
        assert {force.getForceGroup() for force in forces if force.getName() == name} == {group}
        energy = context.getState(energy=True, groups={group}).getPotentialEnergy()
        assert energy.value_in_unit(openmm.unit.kilocalorie_per_mole) == pytest.approx(ours[0, 0].item(), abs=TOLERANCE)


@pytest.mark.parametrize("smiles", ["CC(=O)C", "CC(C)C"])
def test_couplings_and_trigonal_centres_are_finite_where_atoms_are_on_a_line_or_upright(smiles):
    mol = embedded(smiles)
    topology, x = topology_from_mol(mol), noisy_positions(mol)[:, :, 0]
    near = [atom.GetIdx() for atom in mol.GetAtomWithIdx(1).GetNeighbors()]
    places = ([1.4, 0, 0], [-1.4, 0, 0], [0, 0, 1.4], [0, 1.4, 0])
    x[:, 1] = 0
    for atom, place in zip(near, places, strict=False):
        x[:, atom] = torch.tensor(place, dtype=x.dtype)
    context = OpenMMEnergy(exported(topology, random_parameters(topology)), platform="Reference").context
    context.setPositions(x.T.numpy() / 10)
    groups = {TermEnergies._fields.index(name) for name in ("stretch_bend", "out_of_plane")}
    state = context.getState(energy=True, forces=True, groups=groups)
    assert np.isfinite(state.getPotentialEnergy()._value)
    assert np.isfinite(state.getForces(asNumpy=True)._value).all()


def test_molecules_in_one_system_do_not_feel_each_other():
    mols = [embedded(smiles) for smiles in ("CCO", "NC=O")]
    topologies = [topology_from_mol(mol) for mol in mols]
    topology = concatenate(topologies)
    parameters = concatenate_parameters([mmff_parameters(m, t) for m, t in zip(mols, topologies, strict=True)])
    assert_is_the_kernel(topology, parameters, torch.cat([noisy_positions(mol) for mol in mols], dim=1))


def test_one_atom_exports_to_a_system_without_energy():
    topology = topology_from_mol(Chem.MolFromSmiles("[He]"))
    energy, forces = OpenMMEnergy(
        exported(topology, random_parameters(topology)), platform="Reference"
    ).energy_and_forces(torch.ones(3, 1, 2))
    assert not energy.any()
    assert not forces.any()


def test_system_survives_a_file_unchanged():
    mol = embedded("CC(=O)NCC#N")
    topology, x = topology_from_mol(mol), noisy_positions(mol)
    system = exported(topology, random_parameters(topology))
    text = openmm.XmlSerializer.serialize(system)
    read = openmm.XmlSerializer.deserialize(text)
    assert openmm.XmlSerializer.serialize(read) == text
    before, after = (OpenMMEnergy(each, platform="Reference")(x) for each in (system, read))
    torch.testing.assert_close(after, before, rtol=0, atol=0)


def test_parameters_that_are_being_learnt_export_their_values():
    topology = topology_from_mol(embedded("O"))
    parameters = random_parameters(topology).map(torch.Tensor.requires_grad_)
    assert exported(topology, parameters).getNumParticles() == 3


def test_masses_are_those_given():
    topology = topology_from_mol(embedded("O"))
    system = openmm_system(topology, random_parameters(topology), torch.tensor([16.0, 1.0, 2.0]))
    assert [system.getParticleMass(i).value_in_unit(openmm.unit.dalton) for i in range(3)] == [16, 1, 2]
    with pytest.raises(RequestError, match="3 atoms"):
        openmm_system(topology, random_parameters(topology), torch.ones(2))
