"""The native kernel is the torch kernel, evaluated in single precision."""

from dataclasses import fields, replace

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import RequestError
from molebm.forcefield import kernel, native
from molebm.forcefield.energy import energy_and_forces
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.parameters import Parameters, concatenate_parameters
from molebm.references.mmff import mmff_parameters
from molebm.topology import Topology, concatenate

DOUBLE = torch.float64
EPS = torch.finfo(torch.float32).eps
SMILES = ("CC(C)Cc1ccc(cc1)C(C)C(=O)O", "CC#N", "O=S(=O)(N)c1ccc(F)cc1", "C1CC1", "O")
FLOATS = [f.name for f in fields(Parameters) if f.name != "angle_linear"]

needs_native = pytest.mark.skipif(not native.native_available(), reason="the extension was not built")


@pytest.fixture(scope="module")
def batch() -> tuple[Topology, Parameters, torch.Tensor]:
    """Five molecules, MMFF94 parameters (float32) and 37 shaken conformers of each."""
    topologies, parameters, positions = [], [], []
    for smiles in SMILES:
        mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
        rdDistGeom.EmbedMultipleConfs(mol, 37, randomSeed=7)
        topologies.append(topology_from_mol(mol))
        parameters.append(mmff_parameters(mol, topologies[-1]))
        positions.append(positions_from_mol(mol))
    x = torch.cat(positions, dim=1)
    shaken = x + 0.03 * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    return concatenate(topologies), concatenate_parameters(parameters).to(dtype=torch.float32), shaken


def random_parameters(topology: Topology, parameters: Parameters) -> Parameters:
    """Scatter every parameter and give torsions six harmonics."""
    generator = torch.Generator().manual_seed(2)
    scattered = parameters.map(lambda p: p * (1 + 0.1 * torch.randn(p.shape, generator=generator)))
    torsion_v = torch.randn((6, topology.torsions.shape[1]), generator=generator)
    stretch_bend_k = 20 * torch.randn(parameters.stretch_bend_k.shape, generator=generator)
    return replace(scattered, torsion_v=torsion_v, stretch_bend_k=stretch_bend_k)


def in_double(topology: Topology, parameters: Parameters) -> MechanicalEnergy:
    return MechanicalEnergy(topology, parameters.to(dtype=DOUBLE), "torch")


def energy_tolerance(topology: Topology, parameters: Parameters, positions: torch.Tensor) -> torch.Tensor:
    """What rounding explains: a few parts in 1/EPS of the sizes of all terms, and of force times coordinate."""
    terms = kernel.per_term(topology, parameters.to(dtype=DOUBLE), positions.double())
    sizes = sum(kernel.per_molecule(topology, kernel.TermEnergies(*(t.abs() for t in terms))))
    forces = in_double(topology, parameters).energy_and_forces(positions.double()).forces
    return EPS * (16 * sizes + topology.sum_atoms((forces * positions).abs().sum(0))) + 1e-6


@needs_native
@pytest.mark.parametrize("n_conformers", [1, 5, 16, 37])
def test_energies_and_forces_are_those_of_the_torch_kernel(batch, n_conformers):
    topology, parameters, positions = batch
    x = positions[..., :n_conformers]
    for chosen in (parameters, random_parameters(topology, parameters)):
        expected = in_double(topology, chosen).energy_and_forces(x.double())
        found = MechanicalEnergy(topology, chosen, "native").energy_and_forces(x)
        tolerance = energy_tolerance(topology, chosen, x)
        assert ((found.energy - expected.energy).abs() < tolerance).all()
        assert ((MechanicalEnergy(topology, chosen, "native")(x) - expected.energy).abs() < tolerance).all()
        scale = expected.forces.norm(dim=0).clamp(min=10)
        stiffest = 2e3  # kcal/mol/Å², times the rounding of a coordinate of some Å, adds to each force
        assert ((found.forces - expected.forces).norm(dim=0) < 30 * EPS * scale + 16 * EPS * stiffest).all()


@needs_native
def test_forces_are_finite_differences_of_the_torch_energy(batch):
    topology, parameters, positions = batch
    x = positions[..., :1].double()
    energy = in_double(topology, parameters)
    forces = MechanicalEnergy(topology, parameters, "native").energy_and_forces(positions[..., :1]).forces
    step = 1e-4
    for atom in range(0, topology.n_atoms, 7):
        shift = torch.zeros_like(x)
        shift[1, atom] = step
        slope = (energy(x + shift) - energy(x - shift)).sum() / (2 * step)
        assert -forces[1, atom].item() == pytest.approx(slope.item(), rel=1e-4, abs=5e-3)


@needs_native
@pytest.mark.parametrize("n_conformers", [5, 37])
def test_gradients_by_every_parameter_are_those_of_the_torch_kernel(batch, n_conformers):
    topology, parameters, positions = batch
    chosen = random_parameters(topology, parameters)
    weight = torch.randn((topology.n_molecules, n_conformers), generator=torch.Generator().manual_seed(3))

    def gradients(dtype: torch.dtype, backend: str) -> list[torch.Tensor]:
        x = positions[..., :n_conformers].to(dtype).requires_grad_()
        leaves = chosen.map(lambda p: p.to(dtype).requires_grad_())
        energy = MechanicalEnergy(topology, leaves, backend)(x)
        return torch.autograd.grad((weight.to(dtype) * energy).sum(), [x, *(getattr(leaves, n) for n in FLOATS)])

    pairs = zip(["positions", *FLOATS], gradients(torch.float32, "native"), gradients(DOUBLE, "torch"), strict=True)
    for name, found, expected in pairs:
        assert found.shape == expected.shape
        error = (found - expected).abs().max() / expected.abs().max()
        assert error < 100 * EPS, name


@needs_native
def test_a_derivative_not_asked_for_is_not_made(batch):
    topology, parameters, positions = batch
    x = positions.clone().requires_grad_()
    energy = MechanicalEnergy(topology, parameters)(x)
    (gradient,) = torch.autograd.grad(energy.sum(), x)
    assert torch.equal(-gradient, MechanicalEnergy(topology, parameters).energy_and_forces(positions).forces)
    assert not MechanicalEnergy(topology, parameters)(positions).requires_grad


@needs_native
def test_fewer_harmonics_are_six_with_zeros(batch):
    topology, parameters, positions = batch
    two = replace(parameters, torsion_v=parameters.torsion_v[:2])
    six = replace(parameters, torsion_v=torch.cat([two.torsion_v, torch.zeros(4, topology.torsions.shape[1])]))
    assert torch.equal(MechanicalEnergy(topology, two)(positions), MechanicalEnergy(topology, six)(positions))


@needs_native
def test_energy_does_not_depend_on_the_company(batch):
    topology, parameters, positions = batch
    together = MechanicalEnergy(topology, parameters)(positions)
    mol = Chem.AddHs(Chem.MolFromSmiles(SMILES[0]))
    alone = topology_from_mol(mol)
    energy = MechanicalEnergy(alone, mmff_parameters(mol, alone).to(dtype=torch.float32), "native")
    assert torch.equal(energy(positions[:, : alone.n_atoms, 20:23])[0], together[0, 20:23])


@needs_native
@pytest.mark.parametrize("bad", [float("nan"), float("inf"), 1e30])
def test_exploding_conformer_does_not_touch_its_neighbours(batch, bad):
    topology, parameters, positions = batch
    energy = MechanicalEnergy(topology, parameters, "native")
    broken = positions.clone()
    broken[0, 3, 18] = bad
    found, expected = energy.energy_and_forces(broken), energy.energy_and_forces(positions)
    assert not found.energy[0, 18].isfinite()
    kept = torch.arange(37) != 18
    assert torch.equal(found.energy[:, kept], expected.energy[:, kept])
    assert torch.equal(found.forces[..., kept], expected.forces[..., kept])
    assert torch.equal(found.energy[1:], expected.energy[1:])


@needs_native
def test_equal_input_gives_equal_bits(batch):
    topology, parameters, positions = batch
    first, second = (MechanicalEnergy(topology, parameters).energy_and_forces(positions.clone()) for _ in range(2))
    assert torch.equal(first.energy, second.energy)
    assert torch.equal(first.forces, second.forces)


@needs_native
def test_one_atom_has_no_energy_and_no_force():
    topology = topology_from_mol(Chem.MolFromSmiles("[Ar]"))
    empty = torch.zeros(0)
    parameters = Parameters(
        **{name: empty for name in FLOATS if name not in ("stretch_bend_k", "torsion_v", "charge")},
        angle_linear=torch.zeros(0, dtype=torch.bool),
        stretch_bend_k=torch.zeros(2, 0),
        torsion_v=torch.zeros(3, 0),
        charge=torch.zeros(1),
    )
    found = MechanicalEnergy(topology, parameters, "native").energy_and_forces(torch.ones(3, 1, 4))
    assert torch.equal(found.energy, torch.zeros(1, 4))
    assert torch.equal(found.forces, torch.zeros(3, 1, 4))


@needs_native
@pytest.mark.parametrize("backend", ["native", "torch"])
def test_straight_angle_has_a_finite_force(backend):
    """Acetonitrile laid on a line, where the bend of C-C-N is at its kink and torsions are undefined."""
    mol = Chem.AddHs(Chem.MolFromSmiles("CC#N"))
    rdDistGeom.EmbedMolecule(mol, randomSeed=1)
    topology, positions = topology_from_mol(mol), positions_from_mol(mol)
    positions[:, :3] = torch.tensor([[0.0, 1.46, 2.62], [0, 0, 0], [0, 0, 0]])[..., None]
    parameters = mmff_parameters(mol, topology).to(dtype=torch.float32)
    for linear in (parameters.angle_linear, torch.zeros_like(parameters.angle_linear)):
        chosen = replace(parameters, angle_linear=linear)
        found = MechanicalEnergy(topology, chosen, backend).energy_and_forces(positions)
        expected = in_double(topology, chosen).energy_and_forces(positions.double())
        assert found.forces.isfinite().all()
        clamp = (16 * EPS) ** 0.5  # rad, by which an angle near π is off where its cosine is clamped
        slack = clamp * (parameters.angle_k * (parameters.angle_theta - torch.pi).abs()).max() + 1e-3
        assert (found.energy - expected.energy).abs().item() < slack


@needs_native
@pytest.mark.parametrize("order", [2, 3])
def test_derivatives_of_forces_are_those_of_the_torch_kernel_as_near_as_differences_are(batch, order):
    topology, parameters, positions = batch
    chosen = random_parameters(topology, parameters)
    direction = torch.randn(positions[..., :5].shape, generator=torch.Generator().manual_seed(4))

    def gradients(dtype: torch.dtype, backend: str) -> list[torch.Tensor]:
        x = positions[..., :5].to(dtype).requires_grad_()
        leaves = chosen.map(lambda p: p.to(dtype).requires_grad_())
        scored = energy_and_forces(MechanicalEnergy(topology, leaves, backend), x, create_graph=True).forces
        if order == 3:
            (scored,) = torch.autograd.grad((scored * direction.to(dtype)).sum(), x, create_graph=True)
        return torch.autograd.grad(scored.square().sum(), [x, *(getattr(leaves, n) for n in FLOATS)])

    pairs = zip(["positions", *FLOATS], gradients(torch.float32, "native"), gradients(DOUBLE, "torch"), strict=True)
    for name, found, expected in pairs:
        tolerance = 1e-3 if order == 2 else 0.2  # rounding, worst for charges far apart
        assert (found - expected).norm() < tolerance * expected.norm(), name


@needs_native
def test_the_derivative_of_a_force_by_a_weight_of_the_energy_is_the_force(batch):
    topology, parameters, positions = batch
    x = positions[..., :5].clone().requires_grad_()
    weight = torch.ones((topology.n_molecules, 5), requires_grad=True)
    energy = MechanicalEnergy(topology, parameters, "native")
    (gradient,) = torch.autograd.grad((weight * energy(x)).sum(), x, create_graph=True)
    direction = torch.randn(x.shape, generator=torch.Generator().manual_seed(4))
    (found,) = torch.autograd.grad((gradient * direction).sum(), weight)
    expected = topology.sum_atoms((gradient.detach() * direction).sum(0))
    assert (found - expected).abs().max() < 1e-3 * expected.abs().max()


def test_without_the_extension_the_torch_kernel_serves(batch, monkeypatch):
    topology, parameters, positions = batch
    monkeypatch.setattr(native, "_load", lambda: None)
    found = MechanicalEnergy(topology, parameters).energy_and_forces(positions)
    expected = MechanicalEnergy(topology, parameters, "torch").energy_and_forces(positions)
    assert torch.equal(found.forces, expected.forces)
    with pytest.raises(RequestError, match="extension"):
        MechanicalEnergy(topology, parameters, "native")


def test_double_precision_is_never_rounded(batch):
    topology, parameters, positions = batch
    double = parameters.to(dtype=DOUBLE)
    x = positions.double()
    assert torch.equal(MechanicalEnergy(topology, double)(x), kernel.energy(topology, double, x))
    assert MechanicalEnergy(topology, parameters)(x).dtype == DOUBLE


@needs_native
def test_terms_that_do_not_fit_are_refused(batch):
    topology, parameters, positions = batch
    with pytest.raises(ValueError, match="bond_k is"):
        MechanicalEnergy(topology, replace(parameters, bond_k=parameters.bond_k[1:]))
    with pytest.raises(ValueError, match="order of their molecules"):
        MechanicalEnergy(replace(topology, bonds=topology.bonds.flip(1)), parameters)
    with pytest.raises(ValueError, match="positions are"):
        MechanicalEnergy(topology, parameters)(positions[:, 1:])
