import math

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers
from torch import Tensor

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.conformers.vibrations import (
    LIGHT_SPEED,
    PLANCK,
    hessians,
    mode_free_energy,
    vibrational_free_energies,
    vibrational_wavenumbers,
)
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.references.mmff import mmff_parameters
from molebm.samplers.masses import atomic_masses
from molebm.topology import Topology, concatenate
from molebm.units import ACCELERATION, BOLTZMANN


def embedded(smiles: str, n: int = 2) -> tuple[Topology, Tensor, MechanicalEnergy]:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, n, randomSeed=1)
    rdForceFieldHelpers.MMFFOptimizeMoleculeConfs(mol, maxIters=2000)
    topology = topology_from_mol(mol)
    energy = MechanicalEnergy(topology, mmff_parameters(mol, topology), "torch")
    return topology, positions_from_mol(mol, torch.float64), energy


def exact_hessian(energy, x: Tensor) -> Tensor:
    """Of one conformer (3, N) by automatic differentiation, (3N, 3N)."""
    return torch.autograd.functional.hessian(lambda flat: energy(flat.view(3, -1, 1)).sum(), x.flatten())


@pytest.fixture(scope="module")
def ethanol() -> tuple[Topology, Tensor, MechanicalEnergy]:
    return embedded("CCO")


def test_differences_of_forces_are_second_derivatives(ethanol):
    topology, positions, energy = ethanol
    (found,) = hessians(energy, topology, positions)
    assert (found[0] - exact_hessian(energy, positions[..., 0])).abs().max() < 0.01  # of some 1500 kcal/mol/Å²


def test_single_precision_finds_the_same_vibrations(ethanol):
    topology, positions, energy = ethanol
    single = MechanicalEnergy(topology, energy.parameters.to(dtype=torch.float32))
    (expected,) = vibrational_wavenumbers(energy, topology, positions)
    (found,) = vibrational_wavenumbers(single, topology, positions.float())
    assert (found - expected).abs().max() < 2  # cm⁻¹
    free_energies = [
        vibrational_free_energies(one, topology, x, 300.0)
        for one, x in ((energy, positions), (single, positions.float()))
    ]
    assert (free_energies[0] - free_energies[1]).abs().max() < 0.02  # kcal/mol


def test_wavenumbers_are_those_of_the_exact_hessian(ethanol):
    topology, positions, energy = ethanol
    root = atomic_masses(topology).double().sqrt().repeat(3)
    weighted = exact_hessian(energy, positions[..., 0]) / (root[:, None] * root)
    expected = (torch.linalg.eigvalsh(weighted)[6:] * ACCELERATION).sqrt() / (2 * math.pi * LIGHT_SPEED)
    (found,) = vibrational_wavenumbers(energy, topology, positions)
    assert (found[:6] == 0).all()
    assert found[6:, 0].tolist() == pytest.approx(expected.tolist(), abs=0.5)  # cm⁻¹
    assert 3000 < found[-1, 0] < 4000  # the O-H stretch, cm⁻¹


def springs(topology: Topology, stiffness: float, length: float):
    """Bonds of one stiffness, kcal/mol/Å², as an energy."""
    i, j = topology.bonds

    def energy(positions: Tensor) -> Tensor:
        stretch = (positions[:, i] - positions[:, j]).norm(dim=0) - length
        return topology.molecule.new_zeros((topology.n_molecules, positions.shape[2]), dtype=positions.dtype).index_add(
            0, topology.molecule[i], 0.5 * stiffness * stretch.square()
        )

    return energy


def test_diatomic_molecule_is_a_quantum_oscillator():
    topology = topology_from_mol(Chem.AddHs(Chem.MolFromSmiles("F")))
    positions = torch.zeros((3, 2, 1), dtype=torch.float64)
    positions[2, 1] = 0.92
    energy = springs(topology, 1300.0, 0.92)
    masses = atomic_masses(topology).double()
    frequency = (1300.0 * ACCELERATION * (1 / masses).sum()).sqrt() / (2 * math.pi)  # 1/fs
    (found,) = vibrational_wavenumbers(energy, topology, positions)
    assert found[:5].abs().max() == 0  # a line turns about two axes
    assert found[5].item() == pytest.approx(frequency.item() / LIGHT_SPEED, rel=1e-5)
    quantum, kT = PLANCK * frequency.item(), BOLTZMANN * 1500
    expected = quantum / 2 + kT * math.log1p(-math.exp(-quantum / kT))
    free_energy = vibrational_free_energies(energy, topology, positions, 1500.0)
    assert free_energy.item() == pytest.approx(expected, abs=1e-5)  # slow modes alone are treated otherwise


def test_company_changes_nothing(ethanol):
    topology, positions, _ = ethanol
    water, x, _ = embedded("O")
    both = concatenate([water, topology, water])
    together = torch.cat([x, positions, x], dim=1)
    stiff = springs(both, 900.0, 1.2)
    alone = vibrational_free_energies(springs(topology, 900.0, 1.2), topology, positions, 300.0)
    found = vibrational_free_energies(stiff, both, together, 300.0)
    assert found.shape == (3, 2)
    assert found[1].tolist() == pytest.approx(alone[0].tolist(), abs=1e-6)
    assert found[0].tolist() == pytest.approx(found[2].tolist(), abs=1e-6)


def test_slow_modes_have_a_bounded_entropy():
    """Each of them counts as a free rotor: an oscillator's entropy would diverge as the logarithm of 1/ν."""
    kT = BOLTZMANN * 300
    slow = mode_free_energy(torch.tensor([1e-3, 1e-2, 1e-1, 1.0, 10.0]), 300.0)
    assert slow.diff().abs().max() < 1.2 * kT  # by ten times the wavenumber, where ln 10 = 2.3
    assert slow[1] - slow[0] < 0.2 * kT  # where the rotor has the greatest inertia
    assert mode_free_energy(torch.zeros(3), 300.0).tolist() == [0, 0, 0]
    fast = torch.tensor([1500.0], dtype=torch.float64)
    quantum = PLANCK * LIGHT_SPEED * fast
    assert mode_free_energy(fast, 300.0).item() == pytest.approx(
        (quantum / 2 + kT * torch.log(-torch.expm1(-quantum / kT))).item(), abs=1e-4
    )


def test_atom_does_not_vibrate():
    topology = topology_from_mol(Chem.AddHs(Chem.MolFromSmiles("[Ne]")))
    flat = springs(topology, 1.0, 1.0)
    assert vibrational_free_energies(flat, topology, torch.ones(3, 1, 2), 300.0).tolist() == [[0.0, 0.0]]
