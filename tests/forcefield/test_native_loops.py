import pytest
import torch
from rdkit import Chem
from rdkit.Chem import rdDistGeom

from molebm.chem.graph import positions_from_mol, topology_from_mol
from molebm.errors import TimeLimitError
from molebm.forcefield import native, native_loops
from molebm.forcefield.geometry import cos_torsion, distance
from molebm.forcefield.mechanics import MechanicalEnergy
from molebm.forcefield.native_loops import DescentSettings
from molebm.forcefield.parameters import Parameters
from molebm.parametrise import mmff
from molebm.samplers.masses import atomic_masses
from molebm.samplers.minimise import minimise
from molebm.samplers.native_rotors import native_rotors
from molebm.topology import Topology, concatenate
from molebm.units import thermal_energy

pytestmark = pytest.mark.skipif(not native.native_available(), reason="the extension was not built")


def embedded(smiles: str, n: int) -> tuple[Topology, Parameters, torch.Tensor]:
    mol = Chem.AddHs(Chem.MolFromSmiles(smiles))
    rdDistGeom.EmbedMultipleConfs(mol, n, randomSeed=1)
    topology = topology_from_mol(mol)
    return topology, mmff()([mol], topology), positions_from_mol(mol)


@pytest.fixture(scope="module")
def alcohol():
    topology, parameters, positions = embedded("CC(C)CCO", 20)
    return topology, parameters, native.bind(topology, parameters), positions


def test_descent_ends_where_that_in_pytorch_does(alcohol):
    topology, parameters, terms, positions = alcohol
    settings = DescentSettings(force_tolerance=0.02, max_steps=2000)
    found = native_loops.minimise(terms, positions, settings)
    other = minimise(MechanicalEnergy(topology, parameters), topology, positions, force_tolerance=0.02, max_steps=2000)
    assert (found.max_force <= 0.02).all()
    torch.testing.assert_close(found.energy, other.energy, atol=1e-3, rtol=0)
    torch.testing.assert_close(native.energy(terms, found.positions), found.energy, atol=1e-5, rtol=1e-6)


def test_descent_of_a_conformer_does_not_depend_on_its_company(alcohol):
    topology, parameters, terms, positions = alcohol
    settings = DescentSettings(max_steps=30)
    together = native_loops.minimise(terms, positions, settings)
    alone = native_loops.minimise(terms, positions[..., 17:18], settings)
    assert torch.equal(alone.positions[..., 0], together.positions[..., 17])
    twice = native.bind(concatenate([topology, topology]), Parameters(**_twice(parameters)))
    both = native_loops.minimise(twice, torch.cat([positions, positions.flip(2)], dim=1), settings)
    assert torch.equal(both.energy[0], together.energy[0])
    assert torch.equal(both.energy[1], together.energy[0].flip(0))


def _twice(parameters: Parameters) -> dict[str, torch.Tensor]:
    return {name: torch.cat([value, value], dim=-1) for name, value in _tensors(parameters).items()}


def _tensors(parameters: Parameters) -> dict[str, torch.Tensor]:
    return {name: getattr(parameters, name) for name in Parameters.__dataclass_fields__}


def test_conformer_that_is_not_finite_comes_back_as_it_was(alcohol):
    _, _, terms, positions = alcohol
    broken = positions.clone()
    broken[0, 0, 3] = torch.nan
    found = native_loops.minimise(terms, broken, DescentSettings())
    whole = native_loops.minimise(terms, positions, DescentSettings())
    assert found.max_force[0, 3].isnan()
    others = torch.arange(20) != 3
    assert torch.equal(found.positions[..., others], whole.positions[..., others])


def test_descent_that_takes_too_long_says_so(alcohol):
    _, _, terms, positions = alcohol
    with pytest.raises(TimeLimitError, match="time limit"):
        native_loops.minimise(terms, positions, DescentSettings(seconds=-1.0))


def only(parameters: Parameters, **kept: torch.Tensor) -> Parameters:
    """Switch all terms off but those given."""
    values = {name: torch.zeros_like(value) for name, value in _tensors(parameters).items()}
    return Parameters(**values | {"pair_radius": parameters.pair_radius} | kept)


def test_dynamics_of_a_cold_bond_has_the_variance_of_a_harmonic_oscillator():
    """At 5 K: <(r - r0)²> = kT/k, each of the chains giving an independent sample."""
    topology, parameters, positions = embedded("O", 1)
    kept = only(parameters, bond_k=parameters.bond_k, bond_length=parameters.bond_length)
    kT, n = thermal_energy(5.0), 4096
    moved = native_loops.follow(
        native.bind(topology, kept),
        positions.expand(-1, -1, n),
        masses=atomic_masses(topology),
        schedule=torch.full((2000,), kT),
        time_step=0.5,
        friction=20.0,
        seeds=[3],
    )
    stretch = distance(moved, *topology.bonds) - parameters.bond_length[:, None]
    ratio = stretch.var(dim=1) * parameters.bond_k / kT
    assert ratio.tolist() == pytest.approx([1, 1], abs=4 * (2 / n) ** 0.5)


def test_turning_bonds_gives_the_torsion_its_boltzmann_distribution():
    """Only one torsion has an energy, so that quadrature over its angle is exact."""
    topology, parameters, positions = embedded("CCO", 1)
    elements = topology.atomic_numbers[topology.torsions]
    about = (elements == torch.tensor([6, 6, 8, 1])[:, None]).all(0) | (
        elements == torch.tensor([1, 8, 6, 6])[:, None]
    ).all(0)
    (term,) = about.nonzero().flatten().tolist()
    torsion_v = torch.zeros_like(parameters.torsion_v)
    torsion_v[:3, term] = torch.tensor([1.0, 2.0, 0.5])
    terms, kT, n = native.bind(topology, only(parameters, torsion_v=torsion_v)), 0.6, 4096
    moved, accepted = native_loops.turn_bonds(
        terms,
        native_rotors(topology),
        positions.expand(-1, -1, n),
        schedule=torch.full((200,), kT),
        seeds=[7],
    )
    phi = torch.linspace(0, 2 * torch.pi, 721, dtype=torch.float64)[:-1]
    energy = 0.5 * (1 * (1 + phi.cos()) + 2 * (1 - (2 * phi).cos()) + 0.5 * (1 + (3 * phi).cos()))
    density = (-energy / kT).exp()
    for power in (1, 2):
        mean = (density * phi.cos() ** power).sum() / density.sum()
        variance = (density * phi.cos() ** (2 * power)).sum() / density.sum() - mean**2
        found = (cos_torsion(moved, topology.torsions[:, [term]]).double() ** power).mean()
        assert found.item() == pytest.approx(mean.item(), abs=4 * (variance / n).sqrt().item())
    assert 0 < accepted.float().mean() < 200
    rigid = distance(positions, *topology.bonds).expand(-1, n)
    torch.testing.assert_close(distance(moved, *topology.bonds), rigid, atol=1e-4, rtol=0)


def test_a_seed_gives_each_column_its_own_bits(alcohol):
    topology, _, terms, positions = alcohol
    arguments = {"masses": atomic_masses(topology), "time_step": 1.0, "friction": 1.0, "seeds": [9]}
    schedule = torch.full((20,), 0.6)
    more = native_loops.follow(terms, positions, schedule=schedule, **arguments)
    fewer = native_loops.follow(terms, positions[..., :5], schedule=schedule, **arguments)
    assert torch.equal(more[..., :5], fewer)
    rotors = native_rotors(topology)
    same = positions[..., :1].expand(-1, -1, 20)
    moved, _ = native_loops.turn_bonds(terms, rotors, same, schedule=schedule, seeds=[9])
    again, _ = native_loops.turn_bonds(terms, rotors, same[..., :5], schedule=schedule, seeds=[9])
    assert torch.equal(moved[..., :5], again)
    assert not torch.equal(moved[..., 0], moved[..., 1])


def test_nothing_comes_of_nothing(alcohol):
    topology, _, terms, positions = alcohol
    none, schedule = positions[..., :0], torch.full((3,), 0.6)
    assert native_loops.minimise(terms, none, DescentSettings()).energy.shape == (1, 0)
    moved, _ = native_loops.turn_bonds(terms, native_rotors(topology), none, schedule=schedule, seeds=[1])
    assert moved.shape == none.shape
    arguments = {"masses": atomic_masses(topology), "time_step": 1.0, "friction": 1.0, "seeds": [1]}
    assert native_loops.follow(terms, none, schedule=schedule, **arguments).shape == none.shape
    assert torch.equal(native_loops.follow(terms, positions, schedule=schedule[:0], **arguments), positions)
    with pytest.raises(ValueError, match="1 to 32"):
        native_loops.minimise(terms, positions, DescentSettings(history=33))


def test_tethered_descents_in_c_and_in_pytorch_end_alike_and_held_atoms_stay(alcohol):
    topology, parameters, terms, positions = alcohol
    tether = torch.where(topology.atomic_numbers == 1, 0.0, 20.0)
    tether[0] = torch.inf
    settings = DescentSettings(force_tolerance=0.02, max_steps=2000, tether=tether)
    found = native_loops.minimise(terms, positions, settings)
    expected = minimise(
        MechanicalEnergy(topology, parameters, "torch"),
        topology,
        positions,
        force_tolerance=0.02,
        max_steps=2000,
        tether=tether,
    )
    torch.testing.assert_close(found.energy, expected.energy, atol=2e-3, rtol=0)
    torch.testing.assert_close(found.positions, expected.positions, atol=2e-2, rtol=0)
    assert torch.equal(found.positions[:, 0], positions[:, 0])
