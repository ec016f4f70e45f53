"""OpenMM-ML makes systems with molebm as their potential, of whole topologies and of a part."""

import importlib
import tomllib
from pathlib import Path

import openmm
import pytest
import torch
from openmm import app, unit
from rdkit import Chem

import molebm
from molebm.chem.graph import positions_from_mol
from molebm.errors import MoleculeError, RequestError
from molebm.interop.openmm_molecules import molecule_in, openmm_topology
from molebm.references.openmm_energy import OpenMMEnergy

openmmml = pytest.importorskip("openmmml", reason="openmmml is not installed")
from openmmml.mlpotential import MLPotential, MLPotentialImplFactory  # noqa: E402

from molebm.interop.openmmml_potential import MolebmPotentialFactory  # noqa: E402

PROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"
SMILES = "C[N+](C)(C)CC(=O)[O-]"


@pytest.fixture(autouse=True)
def registered():
    """Register what the entry point does where the package is not installed anew."""
    MLPotential.registerImplFactory("molebm", MolebmPotentialFactory())


def energy_of(system, mol):
    return OpenMMEnergy(system, platform="Reference")(positions_from_mol(mol, torch.float64)).item()


def test_the_entry_point_leads_to_a_factory():
    entry = tomllib.loads(PROJECT.read_text())["project"]["entry-points"]["openmmml.potentials"]["molebm"]
    module, _, name = entry.partition(":")
    assert issubclass(getattr(importlib.import_module(module), name), MLPotentialImplFactory)


@pytest.mark.parametrize("energy", ["learned", "mmff94"])
def test_a_system_of_a_whole_topology_has_the_energy_of_the_molecule(energy, embedded):
    mol = embedded(SMILES)
    potential = MLPotential("molebm", energy=energy)
    for told in ({"mol": mol}, {"smiles": SMILES}):
        system = potential.createSystem(openmm_topology(mol), **told)
        assert energy_of(system, mol) == pytest.approx(energy_of(molebm.to_openmm(mol, energy), mol), abs=1e-6)


def test_a_residual_is_part_of_it(residual_model, embedded):
    mol = embedded("CCO")
    system = MLPotential("molebm", model=residual_model).createSystem(openmm_topology(mol), mol=mol)
    assert energy_of(system, mol) == pytest.approx(
        energy_of(molebm.to_openmm(mol, model=residual_model), mol), abs=1e-6
    )


def test_the_molecule_is_found_in_any_order_of_atoms(embedded):
    mol = embedded("CC(=O)Oc1ccccc1")
    order = torch.randperm(mol.GetNumAtoms(), generator=torch.Generator().manual_seed(1)).tolist()
    shuffled = Chem.RenumberAtoms(mol, order)
    topology = openmm_topology(shuffled)
    found = molecule_in(topology, range(mol.GetNumAtoms()), "O=C(C)Oc1ccccc1")
    assert [a.GetSymbol() for a in found.GetAtoms()] == [a.GetSymbol() for a in shuffled.GetAtoms()]
    x = positions_from_mol(shuffled, torch.float64)
    assert OpenMMEnergy(molebm.to_openmm(found), platform="Reference")(x).item() == pytest.approx(
        energy_of(molebm.to_openmm(mol), mol), abs=1e-5
    )


@pytest.mark.parametrize("interpolate", [False, True])
def test_water_in_water_can_be_the_learned_part_of_a_mixed_system(interpolate, embedded):
    """One of two water molecules is learned: its own terms are those of molebm, those with the other TIP3P's."""
    mol = embedded("O")
    modeller = app.Modeller(openmm_topology(mol, "HOH"), mol.GetConformer().GetPositions() * unit.angstrom)
    modeller.add(modeller.topology, modeller.positions + openmm.Vec3(0.3, 0, 0) * unit.nanometer)
    for residue in modeller.topology.residues():
        for atom, name in zip(residue.atoms(), ("O", "H1", "H2"), strict=True):
            atom.name = name
    force_field = app.ForceField("tip3p.xml")
    classical = force_field.createSystem(modeller.topology, rigidWater=False)
    system = MLPotential("molebm").createMixedSystem(
        modeller.topology, classical, [0, 1, 2], smiles="O", interpolate=interpolate
    )
    context = openmm.Context(system, openmm.VerletIntegrator(1.0), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(modeller.positions)

    def kcal(lambda_interpolate):
        if interpolate:
            context.setParameter("lambda_interpolate", lambda_interpolate)
        return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilocalorie_per_mole)

    own = energy_of(molebm.to_openmm(mol), mol)
    alone = force_field.createSystem(openmm_topology_of_water(modeller), rigidWater=False)
    water = energy_of(alone, mol)
    together = energy_of_all(classical, modeller)
    assert kcal(1) == pytest.approx(together - water + own, abs=1e-3)
    if interpolate:
        assert kcal(0) == pytest.approx(together, abs=1e-3)


def openmm_topology_of_water(modeller):
    first = next(modeller.topology.residues())
    one = app.Modeller(modeller.topology, modeller.positions)
    one.delete([residue for residue in modeller.topology.residues() if residue is not first])
    return one.topology


def energy_of_all(system, modeller):
    context = openmm.Context(system, openmm.VerletIntegrator(1.0), openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(modeller.positions)
    return context.getState(energy=True).getPotentialEnergy().value_in_unit(unit.kilocalorie_per_mole)


def test_what_is_missing_or_does_not_fit_is_told(embedded):
    mol = embedded("CCO")
    potential, topology = MLPotential("molebm"), openmm_topology(mol)
    with pytest.raises(RequestError, match="smiles="):
        potential.createSystem(topology)
    with pytest.raises(MoleculeError, match="not bonded like"):
        potential.createSystem(topology, smiles="COC")
    with pytest.raises(MoleculeError, match="atoms"):
        potential.createSystem(topology, mol=embedded("CO"))
    with pytest.raises(RequestError, match="temperature"):
        MLPotential("molebm", temperature=300)
