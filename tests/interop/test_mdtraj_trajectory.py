"""Ensembles as trajectories: the same conformers in every file format, and back to the score."""

import numpy as np
import pytest
from click.testing import CliRunner
from rdkit import Chem

import molebm
from molebm.chem.reading import read_molecules
from molebm.chem.trajectory import read_trajectory
from molebm.cli.main import cli
from molebm.conformers.outcomes import ensemble
from molebm.errors import MoleculeError, RequestError
from molebm.interop.mdtraj_trajectory import TRAJECTORIES, ensembles_of, write_trajectory

SMILES = "C[C@H](O)C(=O)NC"
ROUNDING = {".xtc": 6e-3}  # Å


def coordinates(mol):
    return np.stack([conformer.GetPositions() for conformer in mol.GetConformers()])


@pytest.fixture(scope="module")
def mol(embedded):
    return embedded(SMILES, n_conformers=3)


def test_a_trajectory_has_the_atoms_bonds_and_conformers_of_the_molecule(mol):
    trajectory = molebm.to_mdtraj(mol)
    np.testing.assert_allclose(10 * trajectory.xyz, coordinates(mol), atol=1e-5)
    assert [atom.element.atomic_number for atom in trajectory.topology.atoms] == [
        atom.GetAtomicNum() for atom in mol.GetAtoms()
    ]
    assert trajectory.topology.n_bonds == mol.GetNumBonds()
    assert [bond.order for bond in trajectory.topology.bonds].count(2) == 1


def test_an_ensemble_is_taken_as_it_is(mol):
    energies = np.arange(3.0)
    found = ensemble("lactamide", SMILES, mol, coordinates(mol), energies, energies, 300.0)
    np.testing.assert_array_equal(molebm.to_mdtraj(found).xyz, molebm.to_mdtraj(mol).xyz)


@pytest.mark.parametrize("suffix", TRAJECTORIES)
def test_what_is_written_is_read_back(suffix, tmp_path, mol):
    if suffix == ".h5":
        pytest.importorskip("tables", reason="HDF5 needs PyTables")
    path = tmp_path / f"x{suffix}"
    topology = write_trajectory(path, mol)
    assert sorted(file.name for file in tmp_path.iterdir()) == sorted({path.name, "x.pdb"})  # and no parts
    frames = [record.mol for record in read_trajectory(path, topology=topology, template=SMILES)]
    tolerance = ROUNDING.get(suffix, 1e-5)
    np.testing.assert_allclose(np.concatenate([coordinates(one) for one in frames]), coordinates(mol), atol=tolerance)
    assert Chem.MolToSmiles(Chem.RemoveHs(frames[0])) == Chem.CanonSmiles(SMILES)


def test_conformers_of_one_molecule_that_follow_one_another_are_one_ensemble(tmp_path):
    path = tmp_path / "two.sdf"
    found = CliRunner().invoke(cli, ["generate", str(_smiles(tmp_path)), "-o", str(path), "-n", "2", "-q"])
    assert found.exit_code == 0, found.output
    first, second = ensembles_of(read_molecules(path))
    assert (first.GetNumAtoms(), second.GetNumAtoms()) == (12, 12)
    assert first.GetNumConformers() == 2


def test_generate_writes_trajectories_beside_its_sdf(tmp_path):
    command = ["generate", "OCCO glycol", "-o", str(tmp_path / "x.sdf"), "--trajectory", str(tmp_path / "x.dcd"), "-n3"]
    assert CliRunner().invoke(cli, command).exit_code == 0
    (mol,) = ensembles_of(read_molecules(tmp_path / "x.sdf"))
    frames = list(read_trajectory(tmp_path / "x.dcd", topology=tmp_path / "x.pdb", template="OCCO"))
    assert len(frames) == mol.GetNumConformers()
    np.testing.assert_allclose(coordinates(frames[-1].mol)[0], coordinates(mol)[-1], atol=1e-4)
    again = CliRunner().invoke(cli, command)
    assert again.exit_code == 2
    assert "exists" in again.output
    assert CliRunner().invoke(cli, [*command, "--resume"]).exit_code == 0  # which makes them anew from the SDF


def test_several_molecules_have_a_trajectory_each(tmp_path):
    command = [
        "generate",
        str(_smiles(tmp_path)),
        "-o",
        str(tmp_path / "x.sdf"),
        "--trajectory",
        str(tmp_path / "x.xtc"),
    ]
    assert CliRunner().invoke(cli, [*command, "-n1"]).exit_code == 0
    assert sorted(file.name for file in tmp_path.glob("x-*")) == ["x-1.pdb", "x-1.xtc", "x-2.pdb", "x-2.xtc"]


def test_what_cannot_be_written_is_told(tmp_path, mol):
    with pytest.raises(RequestError, match="unknown kind"):
        write_trajectory(tmp_path / "x.mov", mol)
    with pytest.raises(RequestError, match="create it"):
        write_trajectory(tmp_path / "nowhere" / "x.dcd", mol)
    with pytest.raises(MoleculeError, match="no conformers"):
        molebm.to_mdtraj(Chem.AddHs(Chem.MolFromSmiles("CCO")))
    pdb = ["generate", "CCO", "-o", str(tmp_path / "x.pdb"), "--trajectory", str(tmp_path / "x.dcd")]
    assert "--trajectory is made from an SDF" in CliRunner().invoke(cli, pdb).output
    assert "--trajectory" in CliRunner().invoke(cli, ["generate", "CCO", "-o", str(tmp_path / "x.dcd")]).output


def _smiles(folder):
    path = folder / "two.smi"
    path.write_text("CCCO propanol\nCCOC ether\n")
    return path
