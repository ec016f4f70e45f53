"""torch-sim runs the energy of molebm on batches of molecules, each as if it were alone."""

import importlib.metadata
import sys

import pytest
import torch

import molebm
from molebm.chem.graph import positions_from_mol
from molebm.errors import MoleculeError, RequestError
from molebm.forcefield.energy import energy_and_forces
from molebm.interop.molecular_energy import energy_function, molecular_energy
from molebm.units import EV_PER_KCAL

ts = pytest.importorskip("torch_sim", reason="torch-sim is not installed")
pytest.importorskip("ase", reason="ASE is not installed")
from molebm.interop.torch_sim_model import MolebmModel  # noqa: E402

MIXED = ["CCO", "CC(=O)NC", "CCO", "O"]


@pytest.fixture(scope="module")
def mols(embedded):
    return [embedded(smiles) for smiles in MIXED]


def state_of(mols, dtype=torch.float64):
    return ts.io.atoms_to_state([molebm.to_ase(mol) for mol in mols], torch.device("cpu"), dtype)


@pytest.mark.parametrize("with_residual", [False, True])
def test_each_system_of_a_batch_has_the_energy_and_forces_of_its_molecule(with_residual, residual_model, mols):
    model = residual_model if with_residual else None
    found = MolebmModel(mols, model=model, dtype=torch.float64)(state_of(mols))
    start = 0
    for energy, mol in zip(found["energy"], mols, strict=True):
        exact = energy_function(molecular_energy(mol, model=model), torch.float64)
        alone = energy_and_forces(exact, positions_from_mol(mol, torch.float64))
        torch.testing.assert_close(energy, EV_PER_KCAL * alone.energy[0, 0], rtol=0, atol=1e-9)
        forces = found["forces"][start : start + mol.GetNumAtoms()]
        torch.testing.assert_close(forces, EV_PER_KCAL * alone.forces[:, :, 0].T, rtol=0, atol=1e-9)
        start += mol.GetNumAtoms()


def test_systems_may_be_taken_out_of_a_batch(mols):
    model, state = MolebmModel(mols, dtype=torch.float64), state_of(mols)
    torch.testing.assert_close(model(state[[1, 3]])["energy"], model(state)["energy"][[1, 3]])


def test_an_optimiser_of_torch_sim_goes_down_to_minima(mols):
    model, state = MolebmModel(mols), state_of(mols, torch.float32)
    convergence = ts.runners.generate_force_convergence_fn(force_tol=0.01, include_cell_forces=False)
    final = ts.optimize(state, model, optimizer=ts.optimizers.fire, convergence_fn=convergence, max_steps=500)
    assert final.forces.norm(dim=1).max() < 0.01
    torch.testing.assert_close(final.energy[0], final.energy[2], rtol=0, atol=0.05)


def test_a_thermostat_of_torch_sim_keeps_molecules_whole(mols):
    torch.manual_seed(0)
    final = ts.integrate(
        state_of(mols), MolebmModel(mols), integrator=ts.nvt_langevin, n_steps=50, temperature=300, timestep=0.0005
    )
    assert final.energy.isfinite().all()


def test_molecules_that_cannot_be_told_apart_and_strangers_are_refused(embedded, mols):
    with pytest.raises(RequestError, match="same elements"):
        MolebmModel([embedded("CC(C)O"), embedded("CCCO")])
    with pytest.raises(MoleculeError, match="system 1, CC"):
        MolebmModel(mols[:1])(state_of(mols))


def test_there_are_no_stresses(mols):
    model = MolebmModel(mols[0])
    assert not model.compute_stress
    with pytest.raises(NotImplementedError):
        model.compute_stress = True


@pytest.mark.parametrize("found", ["0.6.2", None])
def test_another_version_or_none_is_told_with_what_to_install(found, monkeypatch):
    def version(name):
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.delitem(sys.modules, "molebm.interop.torch_sim_model")
    with pytest.raises(RequestError, match=r"molebm\[interop\]"):
        importlib.import_module("molebm.interop.torch_sim_model")
