"""Samples of OpenMM systems: any force field, one shard for each molecule, resumable."""

import json

import openmm
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import RequestError
from molebm.forcefield.geometry import triple_product
from molebm.preparation.exchange_runs import ExchangeSettings
from molebm.preparation.openmm_input import OpenMMMolecule, dipeptide, read_system
from molebm.preparation.openmm_samples import prepare_openmm
from molebm.references.mmff import mmff_parameters
from molebm.references.openmm_energy import OpenMMEnergy
from molebm.references.openmm_export import openmm_system
from molebm.samplers.masses import atomic_masses
from molebm.training.shards import read_references

SETTINGS = ExchangeSettings(
    "vacuum", (300.0, 400.0), n_runs=2, n_frames=3, between_frames=0.02, between_swaps=0.01, equilibration=0.02
)


def own(smiles: str, name: str) -> OpenMMMolecule:
    """A molecule in a system that is not Amber's: MMFF94, as anybody's own."""
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    topology = topology_from_mol(mol)
    return OpenMMMolecule(name, mol, openmm_system(topology, mmff_parameters(mol, topology), atomic_masses(topology)))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("prepared")
    molecules = [dipeptide("ALA", "none"), own("CO", "methanol")]
    done = list(prepare_openmm(molecules, folder, SETTINGS, 1))
    return molecules, folder, done


def test_references_are_ready_to_train_on(prepared):
    _, folder, done = prepared
    alanine, methanol = read_references(folder, "train")
    assert (alanine.name, methanol.name) == ("ACE-ALA-NME", "methanol")
    assert alanine.positions.shape == alanine.forces.shape == (3, 22, 2 * 2 * 3)
    assert alanine.temperatures.tolist() == [300.0, 300.0, 400.0, 400.0] * 3
    assert alanine.starts.shape == (3, 22, 2)
    assert alanine.minima.shape == (3, 22, 0)
    assert sum(d.n_runs for d in done) == 4
    assert json.loads((folder / "manifest.json").read_text())["failed"] == []


def test_every_sample_has_the_energy_and_forces_of_its_system_and_the_declared_stereo(prepared):
    molecules, folder, _ = prepared
    for molecule, found in zip(molecules, read_references(folder, "train"), strict=True):
        energy, forces = OpenMMEnergy(molecule.system, platform="Reference").energy_and_forces(found.positions.double())
        torch.testing.assert_close(energy[0].float(), found.energies, rtol=0, atol=2e-3)
        torch.testing.assert_close(forces.float(), found.forces, rtol=0, atol=0.1)
        handed = triple_product(found.positions, found.topology.stereo_centres).sign()
        assert (handed == found.topology.stereo_signs[:, None]).all()


def test_runs_start_apart_and_differ(prepared):
    _, folder, _ = prepared
    alanine = next(read_references(folder, "train"))
    assert alanine.starts[:, :, 0].sub(alanine.starts[:, :, 1]).abs().max() > 0.5
    assert len(alanine.energies.unique()) == len(alanine.energies)


def test_molecules_are_added_without_touching_those_that_are_there(prepared, tmp_path):
    molecules, folder, _ = prepared
    alone, together = tmp_path / "alone", tmp_path / "together"
    list(prepare_openmm(molecules[1:], alone, SETTINGS, 1))
    assert (alone / "methanol.safetensors").read_bytes() == (folder / "methanol.safetensors").read_bytes()
    list(prepare_openmm(molecules[1:], together, SETTINGS, 1))
    before = (together / "methanol.safetensors").stat().st_mtime_ns
    held_out = own("CCO", "ethanol")._replace(split="test")
    list(prepare_openmm([*molecules[1:], held_out], together, SETTINGS, 1))
    assert (together / "methanol.safetensors").stat().st_mtime_ns == before
    assert [r.name for r in read_references(together, "train")] == ["methanol"]
    assert [r.name for r in read_references(together, "test")] == ["ethanol"]


def test_a_molecule_that_cannot_be_sampled_is_named_and_the_others_go_on(tmp_path):
    torn = own("CCO", "torn")
    repulsion = openmm.CustomBondForce("1e9/r^12")
    repulsion.addBond(0, 1)
    torn.system.addForce(repulsion)
    charged = own("CO", "sound")
    done = list(prepare_openmm([torn, charged], tmp_path, SETTINGS, 1))
    (failed,) = json.loads((tmp_path / "manifest.json").read_text())["failed"]
    assert failed["name"] == "torn"
    assert [d.failed is None for d in done] == [True, False, True, True]
    assert [r.name for r in read_references(tmp_path, "train")] == ["sound"]


def test_what_was_cut_off_goes_on_and_ends_the_same(prepared, tmp_path):
    molecules, folder, _ = prepared
    begun = prepare_openmm(molecules[1:], tmp_path, SETTINGS, 1)
    next(begun)  # one of two runs
    begun.close()
    assert [path.name for path in tmp_path.glob("methanol*")] == ["methanol.run-0.partial"]
    first = (tmp_path / "methanol.run-0.partial").stat().st_mtime_ns
    again = prepare_openmm(molecules[1:], tmp_path, SETTINGS, 1)
    next(again)
    assert (tmp_path / "methanol.run-0.partial").stat().st_mtime_ns == first
    list(again)
    assert [path.name for path in tmp_path.glob("methanol*")] == ["methanol.safetensors"]
    assert (tmp_path / "methanol.safetensors").read_bytes() == (folder / "methanol.safetensors").read_bytes()


def test_processes_do_not_change_the_samples(prepared, tmp_path):
    molecules, folder, _ = prepared
    list(prepare_openmm(molecules[1:], tmp_path, SETTINGS, 2))
    assert (tmp_path / "methanol.safetensors").read_bytes() == (folder / "methanol.safetensors").read_bytes()


def test_other_settings_need_another_folder(prepared):
    molecules, folder, _ = prepared
    with pytest.raises(RequestError, match="other settings"):
        list(prepare_openmm(molecules, folder, ExchangeSettings("water"), 1))


def test_given_conformers_are_where_runs_start(tmp_path):
    molecule = own("CCO", "ethanol")
    rdDistGeom.EmbedMultipleConfs(molecule.mol, 2, randomSeed=7)
    list(prepare_openmm([molecule], tmp_path, SETTINGS, 1))
    (found,) = read_references(tmp_path, "train")
    torch.testing.assert_close(found.starts, positions_from_mol(molecule.mol))


def test_a_system_of_other_atoms_is_refused(tmp_path):
    right, wrong = dipeptide("ALA", "none"), dipeptide("GLY", "none")
    with pytest.raises(RequestError, match="22 atoms and the system 19 particles"):
        list(prepare_openmm([right._replace(system=wrong.system)], tmp_path, SETTINGS, 1))
    backwards = Chem.RenumberAtoms(right.mol, list(range(right.mol.GetNumAtoms()))[::-1])
    with pytest.raises(RequestError, match="same order"):
        list(prepare_openmm([right._replace(mol=backwards)], tmp_path, SETTINGS, 1))
    stiff = openmm.XmlSerializer.clone(right.system)
    stiff.addConstraint(0, 1, 0.15)
    with pytest.raises(RequestError, match="constraints=None"):
        list(prepare_openmm([right._replace(system=stiff)], tmp_path, SETTINGS, 1))
    with pytest.raises(RequestError, match="own"):
        list(prepare_openmm([right, right], tmp_path, SETTINGS, 1))
    assert not list(tmp_path.iterdir())


def test_a_system_and_its_structure_are_read_from_files(tmp_path):
    molecule = dipeptide("SER", "obc2")
    rdDistGeom.EmbedMultipleConfs(molecule.mol, 2, randomSeed=7)
    (tmp_path / "serine.xml").write_text(openmm.XmlSerializer.serialize(molecule.system))
    with Chem.SDWriter(str(tmp_path / "serine.sdf")) as writer:
        for conformer in molecule.mol.GetConformers():
            writer.write(molecule.mol, confId=conformer.GetId())
    read = read_system(tmp_path / "serine.xml", tmp_path / "serine.sdf")
    assert (read.name, read.mol.GetNumConformers()) == ("serine", 2)
    x = positions_from_mol(read.mol, torch.float64)
    energies = [OpenMMEnergy(m.system, platform="Reference")(x) for m in (read, molecule)]
    torch.testing.assert_close(*energies)


def test_what_cannot_be_read_is_told(tmp_path):
    (tmp_path / "a.xml").write_text("<nothing/>")
    (tmp_path / "b.sdf").write_text("")
    with pytest.raises(RequestError, match="cannot read a system"):
        read_system(tmp_path / "a.xml", tmp_path / "b.sdf")
    with pytest.raises(RequestError, match="cannot read a system"):
        read_system(tmp_path / "missing.xml", tmp_path / "b.sdf")
