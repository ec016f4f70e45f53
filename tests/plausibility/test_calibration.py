import pytest
import torch

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.parametrise import mmff, named_energy
from molebm.plausibility import ensemble_scores, score
from molebm.topology import concatenate
from molebm.units import thermal_energy
from tests.plausibility.conftest import embedded, moved


def test_harmonic_thermal_structures_score_one(alanine):
    """Equipartition: <E - E_min> = 3/2 N kT; the variance of a sum of squares fixes the tolerance."""
    topology = concatenate([topology_from_mol(alanine)] * 2)
    centres = torch.cat([positions_from_mol(alanine)] * 2, dim=1)
    k, kT, n_conformers = 10.0, thermal_energy(300.0), 50
    noise = torch.randn(3, topology.n_atoms, n_conformers, generator=torch.Generator().manual_seed(1))

    def springs(x):
        return topology.sum_atoms((x - centres).square().sum(0) * k / 2)

    scores = ensemble_scores(springs, topology, centres + noise * (kT / k) ** 0.5)
    assert scores.shape == (2, n_conformers)
    standard_error = (2 / (3 * topology.n_atoms * n_conformers)) ** 0.5
    assert float(scores.mean()) == pytest.approx(1, abs=4 * standard_error)


def test_calibration_and_scoring_measure_the_same(alanine):
    mols = [alanine, embedded("c1ccccc1O")]
    noisy = [moved(mol, lambda x: x + 0.05 * torch.sin(torch.arange(x.size)).reshape(x.shape).numpy()) for mol in mols]
    topology = concatenate([topology_from_mol(mol) for mol in noisy])
    positions = torch.cat([positions_from_mol(mol) for mol in noisy], dim=1)
    energy_fn = MechanicalEnergy(topology, mmff()(noisy, topology))
    from_tensors = ensemble_scores(energy_fn, topology, positions)[:, 0]
    from_molecules = torch.tensor(score(noisy, energy=named_energy("mmff94")).score)
    torch.testing.assert_close(from_tensors.double(), from_molecules, rtol=5e-3, atol=0)
