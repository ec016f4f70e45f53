import math
from types import SimpleNamespace

import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.forcefield.geometry import cos_angle, cos_torsion, distance, torsion_angle, triple_product
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.references.mmff import mmff_parameters
from molebm.samplers.baoab import baoab
from molebm.samplers.composition import cycle, repeated
from molebm.samplers.masses import repartition_hydrogen_mass
from molebm.samplers.minimise import minimise
from molebm.samplers.ring_flap import find_flaps, ring_flap
from molebm.samplers.ring_inversion import find_inversions, ring_inversion
from molebm.samplers.ring_reflections import reflect
from molebm.samplers.run import sample

KT = 0.6
MENTHOL, DIAZEPAM = "C[C@@H]1CC[C@H]([C@@H](C1)O)C(C)C", "CN1C(=O)CN=C(c2ccccc2)c2cc(Cl)ccc12"


def molecule(smiles: str) -> SimpleNamespace:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMolecule(mol, randomSeed=7)
    return SimpleNamespace(mol=mol, topology=topology_from_mol(mol), positions=positions_from_mol(mol, torch.float64))


def mmff94(given: SimpleNamespace) -> MechanicalEnergy:
    parameters = mmff_parameters(given.mol, given.topology).to(dtype=torch.float32)
    return MechanicalEnergy(given.topology, parameters)


def every_move(given, moves):
    """Do each move to a copy of the conformer, (3, N, moves) Å."""
    rows = torch.arange(len(moves.molecule))[None]
    return reflect(given.positions.expand(-1, -1, rows.shape[1]), given.topology, moves, rows)


@pytest.mark.parametrize(
    "smiles, inversions, flaps",
    [
        ("CCC", 0, 0),
        ("C1CC1", 0, 0),
        ("C1CCC1", 1, 4),
        ("C1CCCCC1", 1, 12),
        ("c1ccccc1", 0, 0),
        ("C1CCC=CC1", 1, 3),  # the two corners and the edge that do not touch the double bond
        ("c1ccc2c(c1)CCCC2", 1, 3),  # the benzo ring follows as one body
        ("C1CCC2(C1)CCCC2", 2, 20),
        ("C1CC2CCC1C2", 0, 0),
        ("C1CCC2CCCCC2C1", 0, 6),  # a saturated ring holds its neighbour, and corners away from it still flap
        (DIAZEPAM, 1, 0),
    ],
)
def test_rings_that_move_are_those_that_their_surroundings_let(smiles, inversions, flaps):
    topology = molecule(smiles).topology
    assert len(find_inversions(topology).molecule) == inversions
    assert len(find_flaps(topology).molecule) == flaps


@pytest.mark.parametrize("find", [find_inversions, find_flaps])
@pytest.mark.parametrize("smiles", ["CC1CCCC1", "OC1CCC=CC1", "c1ccc2c(c1)CCC2"])
def test_move_is_its_own_inverse_and_keeps_volumes(find, smiles, generator):
    """The determinant of the Jacobian of each move, found by automatic differentiation, at a distorted structure."""
    given = molecule(smiles)
    given.positions = given.positions + 0.05 * torch.randn(
        given.positions.shape, dtype=torch.float64, generator=generator
    )
    moves = find(given.topology)
    assert len(moves.molecule)
    for row in range(0, len(moves.molecule), 3):
        chosen = torch.tensor([[row]])

        def move(flat, chosen=chosen):
            return reflect(flat.view_as(given.positions), given.topology, moves, chosen).flatten()

        flat = given.positions.flatten()
        determinant = torch.linalg.det(torch.autograd.functional.jacobian(move, flat, vectorize=True))
        assert abs(determinant.item()) == pytest.approx(1, abs=1e-8)
        torch.testing.assert_close(move(move(flat)), flat, atol=1e-9, rtol=0)
        assert (move(flat) - flat).abs().max() > 0.1


def test_inversion_changes_no_bond_angle_or_stereocentre_and_mirrors_the_ring():
    given = molecule(MENTHOL)
    topology, before, moves = given.topology, given.positions, find_inversions(given.topology)
    after = every_move(given, moves)
    torch.testing.assert_close(distance(after, *topology.bonds), distance(before, *topology.bonds))
    torch.testing.assert_close(cos_angle(after, topology.angles), cos_angle(before, topology.angles), atol=1e-9, rtol=0)
    assert topology.stereo_centres.shape[1] == 3
    assert (triple_product(after, topology.stereo_centres).sign() == topology.stereo_signs[:, None]).all()
    around = moves.ring[0].repeat(2)
    torsions = torch.stack([around[k : k + 4] for k in range(6)], dim=1)
    torch.testing.assert_close(torsion_angle(after, torsions), -torsion_angle(before, torsions), atol=1e-9, rtol=0)


@pytest.mark.parametrize("smiles", [MENTHOL, "O[C@H]1CCC[C@@H]1N", "C[C@H]1CCC/C=C\\CCO1"])
def test_flap_changes_no_bond_length_stereocentre_or_double_bond(smiles):
    given = molecule(smiles)
    topology, before, after = given.topology, given.positions, every_move(given, find_flaps(given.topology))
    lengths = distance(before, *topology.bonds).expand(-1, after.shape[-1])
    torch.testing.assert_close(distance(after, *topology.bonds), lengths)
    assert topology.stereo_centres.shape[1]
    assert (triple_product(after, topology.stereo_centres).sign() == topology.stereo_signs[:, None]).all()
    assert ((cos_torsion(after, topology.stereo_bonds) > 0) == topology.stereo_cis[:, None]).all()


def test_two_ends_of_an_inversion_are_visited_by_their_boltzmann_weights(generator):
    """Rigid methylcyclohexane has two structures, and their energies say how often each is met."""
    given, n, kT = molecule("CC1CCCCC1"), 4000, 5.0
    energy_fn = mmff94(given)
    start = given.positions.float().expand(-1, -1, n)
    sampler = ring_inversion(energy_fn, given.topology)
    state = sampler.init(start)
    here = state.energy[0, 0].item()
    there = energy_fn(every_move(given, find_inversions(given.topology)).float()).item()
    assert abs(there - here) > 0.5  # axial and equatorial
    *_, (state, _) = sample(sampler, state, kT=kT, n_steps=31, generator=generator)
    expected = 1 / (1 + math.exp((there - here) / kT))
    moved = (
        distance(state.positions, *torch.tensor([[0], [4]])) - distance(start, *torch.tensor([[0], [4]]))
    ).abs() > 0.1
    standard_error = (expected * (1 - expected) / n) ** 0.5
    assert moved.double().mean().item() == pytest.approx(expected, abs=4 * standard_error)


def test_both_chairs_of_cyclohexane_are_visited_alike_though_all_start_in_one(generator):
    given, n = molecule("C1CCCCC1"), 300
    topology, energy_fn = given.topology, mmff94(given)
    start = minimise(energy_fn, topology, given.positions.float()).positions.expand(-1, -1, n)
    masses = repartition_hydrogen_mass(topology)
    dynamics = repeated(baoab(energy_fn, topology, masses=masses, time_step=2.0, friction=10.0), 10)

    def right_chair(positions):
        torsion = torch.arange(4)[:, None]
        return torsion_angle(positions, torsion) * torsion_angle(start, torsion) > 0

    alone = cycle(dynamics)
    *_, (state, _) = sample(alone, alone.init(start), kT=KT, n_steps=30, generator=generator)
    assert right_chair(state.positions).all()  # the barrier is 17 kT
    joined = cycle(dynamics, ring_inversion(energy_fn, topology))
    chain = list(sample(joined, state, kT=KT, n_steps=30, generator=generator))
    state = chain[-1][0]
    assert sum(info.acceptance.mean().item() for _, (_, info) in chain) / 30 > 0.3  # measured: 0.5
    assert right_chair(state.positions).double().mean().item() == pytest.approx(0.5, abs=4 * 0.5 / n**0.5)


@pytest.mark.parametrize("build", [ring_inversion, ring_flap])
def test_moves_leave_a_gaussian_ring_as_it_is(make_topology, generator, build):
    """Springs along a ring of five with a tail, and to the origin: drawn exactly, moved 15 times, same covariance."""
    bonds = [(0, 1), (1, 2), (2, 3), (3, 4), (4, 0), (0, 5)]
    topology, n = make_topology(6, bonds=bonds), 10000
    laplacian = torch.eye(6) * 0.3
    for i, j in bonds:
        laplacian[[i, j], [i, j]] += 1
        laplacian[[i, j], [j, i]] -= 1
    sampler = build(lambda x: torch.einsum("xic,ij,xjc->c", x, laplacian, x)[None] / 2, topology)
    factor = torch.linalg.cholesky(KT * torch.linalg.inv(laplacian))
    start = torch.einsum("ij,xjc->xic", factor, torch.randn(3, 6, n, generator=generator))
    *_, (state, info) = sample(sampler, sampler.init(start), kT=KT, n_steps=15, generator=generator)
    assert 0.05 < info.acceptance.mean() < 0.95
    expected = factor @ factor.T
    observed = torch.einsum("xic,xjc->ij", state.positions, state.positions) / (3 * n)
    spread = (expected.square() + expected.diagonal()[:, None] * expected.diagonal()) / (3 * n)  # Wick
    assert ((observed - expected).abs() <= 4.5 * spread.sqrt()).all()  # 21 numbers


def test_molecules_move_apart_and_without_a_ring_they_stay(make_topology, harmonic, generator):
    topology = make_topology(4, 2, 4, bonds=[(0, 1), (1, 2), (2, 3), (3, 0), (4, 5), (6, 7), (7, 8), (8, 9), (9, 6)])
    for build, n_moves in ((ring_inversion, 1), (ring_flap, 4)):
        sampler = build(harmonic(topology, 0.0), topology)
        start = torch.randn(3, 10, 300, generator=generator)
        state, info = sampler.step(sampler.init(start), KT, generator)
        moved = (state.positions != start).any(0)
        assert (info.chosen[1] == -1).all() and not moved[4:6].any()
        assert set(info.chosen[0].tolist()) == set(range(n_moves))
        assert set(info.chosen[2].tolist()) == set(range(n_moves, 2 * n_moves))
        assert info.accepted[[0, 2]].all() and moved[:4].any(0).all() and moved[6:].any(0).all()
