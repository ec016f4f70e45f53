import math
from types import SimpleNamespace

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.geometry import cos_angle, distance, torsion_angle, triple_product
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.references.mmff import mmff_parameters
from molebm.samplers.bond_graph import atoms_within_molecules
from molebm.samplers.composition import cycle, repeated
from molebm.samplers.mala import mala
from molebm.samplers.rotors import find_rotors
from molebm.samplers.run import sample
from molebm.samplers.torsion_rotation import rotate, torsion_rotation

KT = 0.6


def molecule(smiles: str, n_conformers: int = 1) -> SimpleNamespace:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, n_conformers, randomSeed=7)
    return SimpleNamespace(mol=mol, topology=topology_from_mol(mol), positions=positions_from_mol(mol, torch.float64))


def mmff94(given: SimpleNamespace) -> MechanicalEnergy:
    parameters = mmff_parameters(given.mol, given.topology).to(dtype=torch.float32)
    return MechanicalEnergy(given.topology, parameters)


def turned(given: SimpleNamespace, chosen: torch.Tensor, angles: torch.Tensor) -> torch.Tensor:
    """Turn one conformer by many angles, (3, N, C) Å."""
    within = atoms_within_molecules(given.topology)
    positions = given.positions[..., :1].expand(-1, -1, angles.shape[-1])
    return rotate(positions, given.topology, find_rotors(given.topology), chosen, angles, within=within)


@pytest.mark.parametrize(
    "smiles, rotors",
    [
        ("CC", []),
        ("CCCC", [(1, 2)]),
        ("CC(F)(F)F", []),
        ("CCO", [(1, 2)]),
        ("C=CC=C", [(1, 2)]),
        ("CCC#N", []),
        ("CCC#CCO", [(1, 2), (3, 4), (4, 5)]),  # CH2-C≡C-CH2: the same turn twice, and the end CH3 not at all
        ("OCC1CC1", [(0, 1), (1, 2)]),
        ("c1ccccc1-c1ccccc1", [(5, 6)]),
        ("CC(=O)NC", [(1, 3)]),
    ],
)
def test_rotors_are_acyclic_single_bonds_about_which_a_turn_changes_something(smiles, rotors):
    found = find_rotors(molecule(smiles).topology)
    assert sorted(tuple(sorted(bond)) for bond in found.axis[:, :-1].T.tolist()) == rotors
    assert not found.turning[-1].any()


def test_smaller_side_turns_without_the_atom_on_the_axis():
    found = find_rotors(molecule("OCCCl").topology)  # hydrogens are 4 to 8
    turning = [set(side.nonzero().flatten().tolist()) for side in found.turning]
    sides = dict(zip(map(tuple, found.axis.T.tolist()), turning, strict=True))
    assert sides[(1, 0)] == {4}
    assert sides[(1, 2)] == {3, 7, 8} or sides[(2, 1)] == {0, 5, 6}


def test_torsions_of_rigid_butane_are_those_of_quadrature(generator):
    """With all else frozen the angle is the only coordinate, and its measure is uniform: MMFF94 at 300 K."""
    butane, n = molecule("CCCC"), 3000
    energy_fn = mmff94(butane)
    grid = torch.arange(720, dtype=torch.float64) * math.pi / 360
    scan = turned(butane, torch.zeros(1, 720, dtype=torch.int64), grid[None])
    expected = _histogram(scan, (-energy_fn(scan.float())[0] / KT).exp())

    sampler = torsion_rotation(energy_fn, butane.topology)
    state = sampler.init(butane.positions.float().expand(-1, -1, n))
    *_, (state, info) = sample(sampler, state, kT=KT, n_steps=30, generator=generator)
    observed = _histogram(state.positions, torch.ones(n))
    standard_error = (expected * (1 - expected) / n).sqrt()
    assert ((observed - expected).abs() <= 4 * standard_error + 2 / n).all()
    assert 0.1 < info.acceptance.mean() < 0.9 and (expected > 0.05).sum() >= 3


def _histogram(positions, weights, torsion=(0, 1, 2, 3)):
    angles = torsion_angle(positions.double(), torch.tensor(torsion)[:, None])[0]
    edges = torch.linspace(-math.pi, math.pi, 19, dtype=torch.float64)
    counts = torch.histogram(angles, bins=edges, weight=weights.double()).hist
    return counts / counts.sum()


def test_two_coupled_torsions_of_rigid_pentane_are_those_of_quadrature(generator):
    """The two gauche turns of opposite sign clash: the joint distribution is no product."""
    pentane, n, fine = molecule("CCCCC"), 3000, 48
    energy_fn = mmff94(pentane)
    grid = torch.arange(fine, dtype=torch.float64) * 2 * math.pi / fine
    one, other = (angle.reshape(1, -1) for angle in torch.meshgrid(grid, grid, indexing="ij"))
    rows = torch.zeros(1, fine**2, dtype=torch.int64)
    scan = SimpleNamespace(topology=pentane.topology, positions=turned(pentane, rows, one))
    within = atoms_within_molecules(pentane.topology)
    scan = rotate(scan.positions, scan.topology, find_rotors(scan.topology), rows + 1, other, within=within)
    expected = _joint_histogram(scan, (-energy_fn(scan.float())[0] / KT).exp())

    sampler = torsion_rotation(energy_fn, pentane.topology)
    state = sampler.init(pentane.positions.float().expand(-1, -1, n))
    *_, (state, _) = sample(sampler, state, kT=KT, n_steps=40, generator=generator)
    observed = _joint_histogram(state.positions, torch.ones(n))
    standard_error = (expected * (1 - expected) / n).sqrt()
    assert ((observed - expected).abs() <= 4 * standard_error + 2 / n).all()
    product = expected.sum(1, keepdim=True) * expected.sum(0)
    assert ((product - expected).abs() > 4 * standard_error + 2 / n).any()


def _joint_histogram(positions, weights):
    """Count in the three wells of both torsions."""
    angles = torsion_angle(positions, torch.tensor([[0, 1], [1, 2], [2, 3], [3, 4]]))
    first, second = ((angles % (2 * math.pi)) / (2 * math.pi / 3)).long().clamp(max=2)
    counts = torch.zeros(9, dtype=torch.float64).index_add(0, 3 * first + second, weights.double())
    return (counts / counts.sum()).view(3, 3)


def test_flexible_chain_joined_with_mala_has_the_torsions_of_quadrature(four_beads, four_beads_start, generator):
    """Bonds and angles move as well, and barriers of 7 kT hold MALA back: `four_beads` says why φ is known."""
    topology, energy_fn, of_torsion = four_beads
    n, grid = 2000, torch.linspace(-math.pi, math.pi, 3601, dtype=torch.float64)
    edges = torch.linspace(-math.pi, math.pi, 10, dtype=torch.float64)
    expected = torch.histogram(grid, bins=edges, weight=(-of_torsion(grid) / KT).exp()).hist
    expected /= expected.sum()
    still = mala(energy_fn, topology, step_size=4e-4)
    sampler = cycle(repeated(still, 3), torsion_rotation(energy_fn, topology))
    state = sampler.init(four_beads_start(n))
    *_, (state, (of_mala, of_torsions)) = sample(sampler, state, kT=KT, n_steps=50, generator=generator)
    angles = torsion_angle(state.positions, torch.tensor([[0], [1], [2], [3]]))[0]
    observed = torch.histogram(angles.double(), bins=edges).hist / n
    standard_error = (expected * (1 - expected) / n).sqrt()
    assert ((observed - expected).abs() <= 4 * standard_error + 2 / n).all()
    assert of_mala.acceptance.mean() > 0.3 and of_torsions.acceptance.mean() > 0.2

    r = torch.linspace(1.0, 2.0, 2001, dtype=torch.float64)  # a bond has the density r² exp(-100 (r - 1.5)² / kT)
    weight = r**2 * (-100 * (r - 1.5) ** 2 / KT).exp()
    mean = (r * weight).sum() / weight.sum()
    variance = (r.square() * weight).sum() / weight.sum() - mean**2
    bonds = distance(state.positions, *topology.bonds).double()
    assert bonds.mean().item() == pytest.approx(mean.item(), abs=4 * (variance / bonds.numel()).sqrt().item())
    assert (bonds.var() / variance).item() == pytest.approx(1, abs=4 * (2 / bonds.numel()) ** 0.5)


def test_mala_alone_does_not_cross_in_that_time(four_beads, four_beads_start, generator):
    topology, energy_fn, _ = four_beads
    sampler = mala(energy_fn, topology, step_size=4e-4)
    state = sampler.init(four_beads_start(200))
    *_, (state, _) = sample(sampler, state, kT=KT, n_steps=150, generator=generator)
    angles = torsion_angle(state.positions, torch.tensor([[0], [1], [2], [3]]))[0]
    assert (angles.abs() > 2 * math.pi / 3).double().mean() > 0.95


def test_only_the_chosen_torsion_changes_and_by_the_angle(generator):
    """Bond lengths, bond angles and chirality stay, and all torsions about other bonds."""
    given, n = molecule("C[C@H](N)C(=O)N[C@@H](CO)c1ccccc1", 1), 200
    rotors, topology = find_rotors(given.topology), given.topology
    chosen = torch.randint(len(rotors.molecule), (1, n), generator=generator)
    angles = torch.empty(1, n, dtype=torch.float64).uniform_(-math.pi, math.pi, generator=generator)
    before, after = given.positions, turned(given, chosen, angles)
    torch.testing.assert_close(distance(after, *topology.bonds), distance(before, *topology.bonds).expand(-1, n))
    torch.testing.assert_close(
        cos_angle(after, topology.angles), cos_angle(before, topology.angles).expand(-1, n), atol=1e-12, rtol=0
    )
    signs = triple_product(after, topology.stereo_centres).sign()
    assert topology.stereo_centres.shape[1] == 2 and (signs == topology.stereo_signs[:, None]).all()

    turn = torsion_angle(after, topology.torsions) - torsion_angle(before, topology.torsions)  # (T, C)
    middle, axis = topology.torsions[1:3].sort(dim=0).values, rotors.axis[:, chosen[0]].sort(dim=0).values
    about = (middle[:, :, None] == axis[:, None, :]).all(0)  # (T, C)
    expected = torch.where(about, angles.abs(), 0.0)
    torch.testing.assert_close(turn.cos(), expected.cos(), atol=1e-9, rtol=0)
    assert about.any(0).all()


def test_turning_keeps_volumes_and_is_undone_by_the_opposite_angle():
    given = molecule("OCC(F)C")
    chosen, angle = torch.tensor([[1]]), torch.tensor([[1.234]], dtype=torch.float64)
    size = given.positions.numel()

    def move(flat):
        moved = SimpleNamespace(topology=given.topology, positions=flat.view_as(given.positions))
        return turned(moved, chosen, angle).flatten()

    jacobian = torch.autograd.functional.jacobian(move, given.positions.flatten())
    assert jacobian.shape == (size, size)
    assert torch.linalg.det(jacobian).item() == pytest.approx(1, abs=1e-9)
    back = SimpleNamespace(topology=given.topology, positions=turned(given, chosen, angle))
    torch.testing.assert_close(turned(back, chosen, -angle), given.positions)


def test_molecules_and_conformers_turn_about_bonds_of_their_own(make_topology, harmonic, generator):
    """A batch of a chain, a lone atom and another chain: the atom stays, the rest move apart from each other."""
    topology = make_topology(5, 1, 4, bonds=[(0, 1), (1, 2), (2, 3), (3, 4), (6, 7), (7, 8), (8, 9)])
    sampler = torsion_rotation(harmonic(topology, 0.0), topology)
    start = torch.randn(3, 10, 300, generator=generator)
    state, info = sampler.step(sampler.init(start), KT, generator)
    moved = (state.positions != start).any(0)
    assert not moved[[5]].any() and (info.chosen[1] == -1).all() and not info.accepted[1].any()
    assert info.accepted[[0, 2]].all()  # no energy, no rejection
    assert set(info.chosen[0].tolist()) == {0, 1} and (info.chosen[2] == 2).all()
    assert (moved[:5].sum(0) == 1).all() and (moved[6:].sum(0) == 1).all()  # the end of the shorter side
