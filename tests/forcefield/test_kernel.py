"""The kernel: its functional form, its invariances, and what it does at the edges."""

import math
import shutil
from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield import kernel
from molebm.forcefield.energy import energy_and_forces
from molebm.forcefield.geometry import distance, torsion_angle
from molebm.forcefield.kernel import TermEnergies
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import Parameters, concatenate_parameters
from molebm.topology import Topology, concatenate

MOLECULES = ["CC(=O)Nc1ccc(O)cc1", "C[C@H](F)C#N", "OS(=O)(=O)C1CC1", "O"]
PRECISIONS = [(torch.float32, "auto"), (torch.float32, "torch"), (torch.float64, "torch")]
ROUNDING = 1e-10  # relative, for sums of some thousand terms in float64


def topology_and_positions(smiles: str, n_conformers: int = 3, noise: float = 0.1) -> tuple[Topology, torch.Tensor]:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, n_conformers, randomSeed=7)
    x = positions_from_mol(mol, torch.float64)
    return topology_from_mol(mol), x + noise * torch.randn(
        x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(1)
    )


def random_parameters(topology: Topology, n_harmonics: int = 6, seed: int = 0) -> Parameters:
    """Draw a point of parameter space with nothing special about it."""
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> torch.Tensor:
        return low + (high - low) * torch.rand(shape, generator=generator, dtype=torch.float64)

    n_bonds, n_angles, n_torsions, n_impropers, n_pairs = (
        index.shape[1]
        for index in (topology.bonds, topology.angles, topology.torsions, topology.impropers, topology.pairs)
    )
    return Parameters(
        bond_k=uniform(300, 900, n_bonds),
        bond_length=uniform(1.0, 1.6, n_bonds),
        angle_k=uniform(30, 150, n_angles),
        angle_theta=uniform(1.7, 2.2, n_angles),
        angle_linear=uniform(0, 1, n_angles) < 0.2,
        stretch_bend_k=uniform(-20, 60, 2, n_angles),
        torsion_v=uniform(-3, 3, n_harmonics, n_torsions),
        improper_k=uniform(-5, 20, n_impropers),
        pair_radius=uniform(2.0, 4.0, n_pairs),
        pair_depth=uniform(0.01, 0.2, n_pairs),
        charge=uniform(-0.8, 0.8, topology.n_atoms),
    )


def random_rotation(seed: int = 0) -> torch.Tensor:
    """A proper rotation, (3, 3)."""
    q, r = torch.linalg.qr(torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))
    q = q * r.diagonal().sign()
    return q * q.det()


def zero_parameters(topology: Topology, **changed: torch.Tensor) -> Parameters:
    """The point of parameter space where nothing costs anything, but for what is changed."""
    zero = random_parameters(topology, n_harmonics=3).map(torch.zeros_like)
    bent = replace(zero, angle_linear=torch.zeros_like(zero.angle_linear), pair_radius=zero.pair_radius + 1)
    return replace(bent, **changed)


def column(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def at(*atoms: tuple[float, float, float]) -> torch.Tensor:
    """Positions of one conformer, (3, N, 1)."""
    return torch.tensor(atoms, dtype=torch.float64).T[:, :, None]


# The functional form


def test_stretch_of_hydrogen_chloride_is_the_quartic_of_mmff94():
    topology, _ = topology_and_positions("Cl")
    parameters = zero_parameters(topology, bond_k=column(500.0), bond_length=column(1.3))
    stretch = 0.2
    expected = 500 / 2 * stretch**2 * (1 - 2 * stretch + 7 / 3 * stretch**2)
    energy = kernel.energy(topology, parameters, at((0, 0, 0), (0, 0, 1.3 + stretch)))
    assert energy.item() == pytest.approx(expected, rel=ROUNDING)


@pytest.mark.parametrize("theta", [0.6, 1.9, 3.0])
def test_bend_of_water_is_the_cubic_of_mmff94_or_that_of_linear_centres(theta):
    topology, _ = topology_and_positions("O")
    x = at((0, 0, 0), (1, 0, 0), (math.cos(theta), math.sin(theta), 0))
    bent = zero_parameters(topology, angle_k=column(80.0), angle_theta=column(1.8))
    linear = replace(bent, angle_linear=torch.tensor([True]))
    bend = theta - 1.8
    assert kernel.energy(topology, bent, x).item() == pytest.approx(40 * bend**2 * (1 - 0.4 * bend), rel=ROUNDING)
    assert kernel.energy(topology, linear, x).item() == pytest.approx(80 * (1 + math.cos(theta)), rel=ROUNDING)


def test_stretch_bend_couples_each_constant_with_its_own_bond():
    topology, _ = topology_and_positions("O")
    constants = column(7.0, -3.0)[:, None]
    parameters = zero_parameters(
        topology, stretch_bend_k=constants, angle_theta=column(1.5), bond_length=column(0.9, 1.1)
    )
    first, second = (topology.bonds[:, index].tolist() for index in topology.angle_bonds[:, 0].tolist())
    atoms = [(0.0, 0.0, 0.0)] * 3
    atoms[topology.angles[0, 0]], atoms[topology.angles[2, 0]] = (1.3, 0.0, 0.0), (0.0, 1.4, 0.0)
    assert {topology.angles[0, 0].item()} < set(first)
    assert {topology.angles[2, 0].item()} < set(second)
    lengths = parameters.bond_length[topology.angle_bonds[:, 0]].tolist()
    expected = (7 * (1.3 - lengths[0]) - 3 * (1.4 - lengths[1])) * (math.pi / 2 - 1.5)
    terms = kernel.per_term(topology, parameters, at(*atoms))
    assert terms.stretch_bend.item() == pytest.approx(expected, rel=ROUNDING)


def test_torsion_energy_is_the_fourier_series_of_the_angle():
    topology, x = topology_and_positions("CC(=O)NCCO")
    parameters = random_parameters(topology, n_harmonics=6)
    phi = torsion_angle(x, topology.torsions)
    expected = sum(
        v[:, None] / 2 * (1 - (-1) ** n * torch.cos(n * phi)) for n, v in enumerate(parameters.torsion_v, start=1)
    )
    torch.testing.assert_close(kernel.per_term(topology, parameters, x).torsion, expected, rtol=1e-8, atol=1e-8)


def test_out_of_plane_energy_of_ammonia_is_that_of_the_three_wilson_angles():
    topology, _ = topology_and_positions("N")
    elevation = 0.4
    x = at((0, 0, 0), (1, 0, 0), (-0.5, 0.8, 0), (-0.7 * math.cos(elevation), -0.7 * math.cos(elevation), 0))
    assert kernel.per_term(topology, zero_parameters(topology, improper_k=column(9.0)), x).out_of_plane.item() == 0

    lifted = at(
        (0, 0, 0),
        (1, 0, 0),
        (-0.6, 0.8, 0),
        (-math.cos(elevation) * 0.6, -0.8 * math.cos(elevation), math.sin(elevation)),
    )
    a, b, c = (lifted[:, atom, 0].numpy() for atom in (1, 2, 3))
    wilson = [
        math.asin(np.dot(out, np.cross(p, q)) / np.linalg.norm(out) / np.linalg.norm(np.cross(p, q)))
        for p, q, out in ((a, b, c), (b, c, a), (c, a, b))
    ]
    assert wilson[0] == pytest.approx(elevation)
    terms = kernel.per_term(topology, zero_parameters(topology, improper_k=column(9.0)), lifted)
    assert terms.out_of_plane.item() == pytest.approx(4.5 * sum(chi**2 for chi in wilson), rel=ROUNDING)


def test_van_der_waals_energy_is_the_depth_at_the_radius_close_to_its_minimum():
    """The buffers that keep the energy finite at contact also pull the minimum in, by half a percent."""
    topology, _ = topology_and_positions("OO")  # one pair, H to H
    parameters = zero_parameters(topology, pair_radius=column(2.5), pair_depth=column(0.3))
    rho = torch.linspace(0, 3, 3001, dtype=torch.float64)
    x = torch.zeros(3, 4, len(rho), dtype=torch.float64)
    x[0, topology.pairs[1, 0]] = 2.5 * rho
    energy = kernel.energy(topology, parameters, x)[0]
    assert energy[1000].item() == pytest.approx(-0.3, rel=ROUNDING)
    assert energy[0].isfinite()
    assert rho[energy.argmin()].item() == pytest.approx(1, abs=0.01)
    assert energy.min().item() == pytest.approx(-0.3, rel=0.01)


def test_electrostatics_are_buffered_and_weaker_three_bonds_apart():
    topology, x = topology_and_positions("OCO")
    parameters = zero_parameters(topology, charge=column(-0.5, 0.4, -0.6, 0.3, 0.1, 0.1, 0.2))
    r = distance(x, *topology.pairs)
    q = parameters.charge
    scale = torch.where(topology.pairs_14, 0.75, 1.0)
    expected = (332.0716 * scale * q[topology.pairs[0]] * q[topology.pairs[1]])[:, None] / (r + 0.05)
    assert topology.pairs_14.any()
    assert not topology.pairs_14.all()
    torch.testing.assert_close(kernel.per_term(topology, parameters, x).electrostatic, expected)


# Sums and invariances


@pytest.mark.parametrize("smiles", MOLECULES)
def test_terms_sum_to_the_energy(smiles):
    topology, x = topology_and_positions(smiles)
    parameters = random_parameters(topology)
    terms = kernel.per_term(topology, parameters, x)
    total = sum(term.sum(0) for term in terms)
    energy = kernel.energy(topology, parameters, x)
    assert energy.shape == (1, 3)
    torch.testing.assert_close(energy[0], total, rtol=ROUNDING, atol=0)
    torch.testing.assert_close(torch.stack(kernel.per_molecule(topology, terms)).sum(0), energy)


def test_energy_does_not_depend_on_the_company():
    """A batch of molecules is exactly the molecules: energies, terms and forces."""
    topologies, positions = zip(*(topology_and_positions(smiles) for smiles in MOLECULES), strict=True)
    parameters = [random_parameters(topology, seed=seed) for seed, topology in enumerate(topologies)]
    together = MechanicalEnergy(concatenate(topologies), concatenate_parameters(parameters))
    batch = together.energy_and_forces(torch.cat(positions, dim=1))
    alone = [
        MechanicalEnergy(t, p).energy_and_forces(x) for t, p, x in zip(topologies, parameters, positions, strict=True)
    ]
    torch.testing.assert_close(batch.energy, torch.cat([each.energy for each in alone]), rtol=ROUNDING, atol=ROUNDING)
    torch.testing.assert_close(
        batch.forces, torch.cat([each.forces for each in alone], dim=1), rtol=ROUNDING, atol=100 * ROUNDING
    )


def test_conformers_do_not_feel_each_other():
    topology, x = topology_and_positions("CC(=O)Nc1ccc(O)cc1", n_conformers=4)
    energy_fn = MechanicalEnergy(topology, random_parameters(topology))
    broken = x.clone()
    broken[:, :, 2] = float("nan")
    kept = [0, 1, 3]
    energy, forces = energy_fn.energy_and_forces(broken)
    assert energy[:, 2].isnan().all()
    torch.testing.assert_close(energy[:, kept], energy_fn(x)[:, kept], rtol=ROUNDING, atol=0)
    torch.testing.assert_close(forces[:, :, kept], energy_fn.energy_and_forces(x).forces[:, :, kept])


@pytest.mark.parametrize("smiles", MOLECULES)
def test_turning_and_moving_a_molecule_changes_nothing_but_the_direction_of_the_forces(smiles):
    topology, x = topology_and_positions(smiles)
    energy_fn = MechanicalEnergy(topology, random_parameters(topology))
    rotation = random_rotation()
    moved = torch.einsum("ij,jnc->inc", rotation, x) + column(3.0, -5.0, 7.0)[:, None, None]
    before, after = energy_fn.energy_and_forces(x), energy_fn.energy_and_forces(moved)
    torch.testing.assert_close(after.energy, before.energy, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(after.forces, torch.einsum("ij,jnc->inc", rotation, before.forces), rtol=1e-7, atol=1e-6)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_mirror_images_have_equal_energy(smiles):
    """So no energy can see that a whole molecule is inverted."""
    topology, x = topology_and_positions(smiles)
    energy_fn = MechanicalEnergy(topology, random_parameters(topology))
    torch.testing.assert_close(energy_fn(-x), energy_fn(x), rtol=ROUNDING, atol=ROUNDING)


@pytest.mark.parametrize("smiles", MOLECULES)
def test_forces_and_torques_of_a_molecule_sum_to_zero(smiles):
    topology, x = topology_and_positions(smiles)
    forces = MechanicalEnergy(topology, random_parameters(topology)).energy_and_forces(x).forces
    scale = forces.abs().max()
    assert forces.sum(1).abs().max() < ROUNDING * scale
    assert torch.linalg.cross(x, forces, dim=0).sum(1).abs().max() < 100 * ROUNDING * scale


@pytest.mark.parametrize("smiles", MOLECULES)
def test_terms_may_be_written_from_either_end(smiles):
    """i-j-k is the angle k-j-i; with it go its two bonds and their coupling constants."""
    t, x = topology_and_positions(smiles)
    p = random_parameters(t)
    reversed_topology = replace(
        t,
        bonds=t.bonds.flip(0),
        angles=t.angles.flip(0),
        angle_bonds=t.angle_bonds.flip(0),
        torsions=t.torsions.flip(0),
        torsion_bonds=t.torsion_bonds.flip(0),
        impropers=t.impropers[[2, 1, 3, 0]],
        pairs=t.pairs.flip(0),
    )
    reversed_parameters = replace(p, stretch_bend_k=p.stretch_bend_k.flip(0))
    torch.testing.assert_close(
        kernel.energy(reversed_topology, reversed_parameters, x), kernel.energy(t, p, x), rtol=ROUNDING, atol=ROUNDING
    )


# Gradients


@pytest.mark.parametrize("smiles", MOLECULES)
def test_forces_are_the_finite_differences_of_the_energy(smiles):
    topology, x = topology_and_positions(smiles, n_conformers=1)
    energy_fn = MechanicalEnergy(topology, random_parameters(topology))
    step = 1e-5  # Å; the central difference is wrong by step² and by rounding / step
    shifts = step * torch.eye(x.numel(), dtype=x.dtype).reshape(*x.shape[:2], -1)
    slope = (energy_fn(x + shifts) - energy_fn(x - shifts)) / (2 * step)
    forces = energy_fn.energy_and_forces(x).forces
    torch.testing.assert_close(forces, -slope.reshape(x.shape), rtol=1e-6, atol=1e-4)


def test_fused_forces_are_those_of_autograd():
    topology, x = topology_and_positions(MOLECULES[0])
    energy_fn = MechanicalEnergy(topology, random_parameters(topology))
    fused = energy_fn.energy_and_forces(x)
    plain = energy_and_forces(energy_fn.__call__, x)
    torch.testing.assert_close(fused.energy, plain.energy)
    torch.testing.assert_close(fused.forces, plain.forces)
    assert not fused.energy.requires_grad


def test_energy_is_differentiable_in_every_parameter():
    topology, x = topology_and_positions("NC=O", n_conformers=2)
    parameters = random_parameters(topology)
    names = [f.name for f in fields(Parameters) if f.name != "angle_linear"]

    def energy(*values: torch.Tensor) -> torch.Tensor:
        return kernel.energy(topology, replace(parameters, **dict(zip(names, values, strict=True))), x)

    values = [getattr(parameters, name).requires_grad_() for name in names]
    assert torch.autograd.gradcheck(energy, values, fast_mode=True)


def test_forces_are_differentiable_in_the_parameters():
    """As force matching needs."""
    topology, x = topology_and_positions("NC=O", n_conformers=2)
    parameters = random_parameters(topology)
    bond_k = parameters.bond_k.requires_grad_()
    energy_fn = MechanicalEnergy(topology, replace(parameters, bond_k=bond_k))
    forces = energy_and_forces(energy_fn, x, create_graph=True).forces
    (gradient,) = torch.autograd.grad(forces.square().sum(), bond_k)
    assert gradient.isfinite().all()
    assert (gradient != 0).all()


# Edges


def test_one_atom_has_no_terms_and_no_energy():
    topology = topology_from_mol(Chem.MolFromSmiles("[He]"))
    energy_fn = MechanicalEnergy(topology, random_parameters(topology))
    x = torch.ones(3, 1, 5, dtype=torch.float64)
    for term in kernel.per_term(topology, energy_fn.parameters, x):
        assert term.shape == (0, 5)
    energy, forces = energy_fn.energy_and_forces(x)
    assert energy.shape == (1, 5)
    assert forces.shape == x.shape
    assert not energy.any()
    assert not forces.any()


def test_one_atom_in_a_batch_leaves_its_row_of_zeros():
    lonely = topology_from_mol(Chem.MolFromSmiles("[He]"))
    water, x = topology_and_positions("O")
    parameters = [random_parameters(lonely), random_parameters(water)]
    topology = concatenate([lonely, water])
    energy = kernel.energy(topology, concatenate_parameters(parameters), torch.cat([x[:, :1], x], dim=1))
    assert not energy[0].any()
    torch.testing.assert_close(energy[1:], kernel.energy(water, parameters[1], x))


def test_no_conformers_are_no_energies():
    topology, x = topology_and_positions("CCO")
    energy, forces = MechanicalEnergy(topology, random_parameters(topology)).energy_and_forces(x[:, :, :0])
    assert energy.shape == (1, 0)
    assert forces.shape == (3, topology.n_atoms, 0)


@pytest.mark.parametrize(("dtype", "backend"), PRECISIONS)
@pytest.mark.parametrize("smiles", ["C#CC#N", "CC#CC", "O=C=O", "C=C=C", "c1ccccc1"])
def test_straight_and_flat_molecules_have_finite_gradients(smiles, dtype, backend):
    """Angles of exactly 0 and π, undefined torsions and flat centres."""
    topology, x = topology_and_positions(smiles, n_conformers=1, noise=0.0)
    straight = torch.zeros_like(x)
    straight[0] = 1.3 * torch.arange(topology.n_atoms, dtype=x.dtype)[:, None]
    folded = straight % 2.6
    flat = x.clone()
    flat[2] = 0
    energy_fn = MechanicalEnergy(topology, random_parameters(topology).to(dtype=dtype), backend)
    energy, forces = energy_fn.energy_and_forces(torch.cat([x, straight, folded, flat], dim=2).to(dtype))
    assert energy.isfinite().all()
    assert forces.isfinite().all()


@pytest.mark.parametrize(("dtype", "backend"), PRECISIONS)
def test_coincident_atoms_have_finite_energy_and_gradient(dtype, backend):
    topology, x = topology_and_positions("CCO")
    energy_fn = MechanicalEnergy(topology, random_parameters(topology).to(dtype=dtype), backend)
    energy, forces = energy_fn.energy_and_forces(torch.zeros_like(x, dtype=dtype))
    assert energy.isfinite().all()
    assert forces.isfinite().all()


def test_parameters_keep_their_flags_when_they_change_type():
    topology, _ = topology_and_positions("CC#N")
    parameters = random_parameters(topology)
    single = parameters.to(dtype=torch.float32)
    assert single.bond_k.dtype == torch.float32
    assert torch.equal(single.angle_linear, parameters.angle_linear)


@pytest.mark.slow
@pytest.mark.skipif(not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="needs a C++ compiler")
def test_compiled_kernel_is_the_eager_kernel_for_batches_of_any_size():
    for smiles in (MOLECULES, MOLECULES[::3]):  # none or one of a kind of term would be compiled anew
        topologies, positions = zip(*(topology_and_positions(each, n_conformers=16) for each in smiles), strict=True)
        topology, x = concatenate(topologies), torch.cat(positions, dim=1).float()
        parameters = concatenate_parameters([random_parameters(each) for each in topologies]).to(dtype=torch.float32)
        eager = MechanicalEnergy(topology, parameters, "torch").energy_and_forces(x)
        compiled = MechanicalEnergy(topology, parameters, "compiled").energy_and_forces(x)
        scale = kernel_scale(topology, parameters, x)
        assert ((compiled.energy - eager.energy).abs() < 1e-5 * scale).all()
        torch.testing.assert_close(compiled.forces, eager.forces, rtol=1e-3, atol=1e-2)


def kernel_scale(topology: Topology, parameters: Parameters, x: torch.Tensor) -> torch.Tensor:
    """Sum of the magnitudes of all terms, (G, C): rounding errors are a fraction of it."""
    magnitudes = TermEnergies(*(term.abs() for term in kernel.per_term(topology, parameters, x)))
    return torch.stack(kernel.per_molecule(topology, magnitudes)).sum(0)
