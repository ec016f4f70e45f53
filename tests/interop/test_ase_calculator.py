"""ASE sees the energy of molebm in its own units, finds its minima and their vibrations."""

import sys

import numpy as np
import pytest
import torch

import molebm
from molebm.chem.graph import positions_from_mol
from molebm.conformers.vibrations import vibrational_wavenumbers
from molebm.errors import MoleculeError, RequestError
from molebm.forcefield.energy import energy_and_forces
from molebm.interop.molecular_energy import energy_function, molecular_energy

ase = pytest.importorskip("ase", reason="ASE is not installed")
from ase import units  # noqa: E402
from ase.optimize import BFGS  # noqa: E402
from ase.vibrations import Vibrations  # noqa: E402

EV = units.kcal / units.mol


@pytest.mark.parametrize("precision, tolerance", [("single", 2e-5), ("double", 1e-8)])
@pytest.mark.parametrize("with_residual", [False, True])
def test_energy_and_forces_are_those_of_the_energy_function(
    precision, tolerance, with_residual, residual_model, embedded
):
    mol = embedded("CC(=O)NC")
    model = residual_model if with_residual else None
    atoms = molebm.to_ase(mol, model=model, precision=precision)
    exact = energy_function(molecular_energy(mol, model=model), torch.float64)
    ours = energy_and_forces(exact, positions_from_mol(mol, torch.float64))
    assert atoms.get_potential_energy() == pytest.approx(ours.energy.item() * EV, abs=tolerance)
    np.testing.assert_allclose(atoms.get_forces(), ours.forces[:, :, 0].T * EV, atol=10 * tolerance)


def test_a_molecule_far_away_has_the_same_energy(embedded):
    atoms = molebm.to_ase(embedded("CCO"))
    here = atoms.get_potential_energy()
    atoms.translate([1e4, 0, -1e4])
    assert atoms.get_potential_energy() == pytest.approx(here, abs=1e-5)


def test_the_optimiser_reaches_a_minimum_whose_vibrations_are_those_of_molebm(tmp_path, embedded):
    mol = embedded("CC(=O)O")
    atoms = molebm.to_ase(mol, precision="double")
    assert BFGS(atoms, logfile=None).run(fmax=1e-4, steps=500)
    vibrations = Vibrations(atoms, name=str(tmp_path / "vib"), delta=1e-3)
    vibrations.run()
    frequencies = np.sort(np.real(vibrations.get_frequencies()) - np.abs(np.imag(vibrations.get_frequencies())))
    assert np.abs(frequencies[:6]).max() < 5  # cm⁻¹: three translations and three rotations
    molecule = molecular_energy(mol)
    x = torch.from_numpy(atoms.positions.T[:, :, None].copy())
    (ours,) = vibrational_wavenumbers(energy_function(molecule, torch.float64), molecule.topology, x)
    np.testing.assert_allclose(frequencies[6:], ours[6:, 0], atol=0.5)


def test_atoms_of_another_molecule_are_refused(embedded):
    atoms = molebm.to_ase(embedded("CCO"))
    calculator = atoms.calc
    other = ase.Atoms("CO", positions=[[0, 0, 0], [0, 0, 1.2]], calculator=calculator)
    with pytest.raises(MoleculeError, match="order"):
        other.get_potential_energy()


def test_what_cannot_be_done_is_told(embedded):
    mol = embedded("CCO")
    with pytest.raises(MoleculeError, match="no conformer"):
        molebm.to_ase(mol, conformer_id=5)
    with pytest.raises(RequestError, match="precision"):
        molebm.to_ase(mol, precision="half")


def test_a_missing_package_is_named_with_what_to_install(monkeypatch, embedded):
    monkeypatch.setitem(sys.modules, "ase", None)
    monkeypatch.delitem(sys.modules, "molebm.interop.ase_calculator")
    with pytest.raises(RequestError, match=r"molebm\[interop\]"):
        molebm.to_ase(embedded("CCO"))
