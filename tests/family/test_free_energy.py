"""Differences of free energy against exact ones: harmonic wells, a double well by quadrature, temperatures."""

import math

import pytest
import torch

from molebm.family.basins import basins, torsion_states
from molebm.family.free_energy import PathSettings, free_energy_difference
from molebm.family.multistate import multistate
from molebm.family.thermodynamic_path import Dynamics, End, MixedEnergy
from molebm.forcefield.energy import energy_and_forces
from molebm.topology import concatenate

KT = 0.6  # kcal/mol
SHORT = PathSettings(
    n_rungs=5,
    n_annealing=16,
    step_size=5e-3,
    dynamics=Dynamics(time_step=4.0, friction=20.0, equilibration=1.0, between_samples=0.4, n_samples=10),
)


def springs(k):
    """Springs from the origin to every atom, k kcal/mol/Å²."""
    return lambda x: 0.5 * k * x.square().sum((0, 1))[None]


def double_well(x):
    """Two wells along x with a barrier of 1 kcal/mol and a tilt, springs along y and z; one atom."""
    a = x[0]
    return (16 * (a**2 - 0.25) ** 2 + 0.6 * a + 10 * x[1:].square().sum(0)).sum(0)[None]


def found(first, last, topology, n_chains=64, settings=SHORT, seed=0):
    starts = 0.2 * torch.randn(3, topology.n_atoms, n_chains, generator=torch.Generator().manual_seed(seed + 1))
    generator = torch.Generator().manual_seed(seed)
    *_, last_report = free_energy_difference(first, last, topology, starts, settings, generator)
    return last_report


def assert_all_agree(result, exact, *, slack=0.02):
    """Every estimator within four of its errors; the slack is of autocorrelation and the rule of integration."""
    for value, error in (
        (result.annealed.value, result.annealed.error),
        (result.annealed_forward.value, result.annealed_forward.error),
        (result.integral.value, result.integral.error),
        result.rung_by_rung,
    ):
        assert value.item() == pytest.approx(exact, abs=4 * error.item() + slack)
    assert result.integral.lower.item() < exact < result.integral.upper.item()


def test_harmonic_wells_differ_by_their_determinants(make_topology):
    """Ln Z1/Z0 = -½ d ln k1/k0 in d dimensions."""
    report = found(End(springs(20.0), KT), End(springs(60.0), KT), make_topology(2))
    assert report.fraction == 1.0
    assert_all_agree(report.found, -0.5 * 6 * math.log(3.0), slack=0.05)
    assert report.found.leap.effective_size < 64


def test_double_well_agrees_with_quadrature(make_topology):
    grid = torch.linspace(-2, 2, 20_001, dtype=torch.float64)
    along = torch.stack([grid, torch.zeros_like(grid), torch.zeros_like(grid)])[:, None]
    exact = {
        name: torch.trapezoid(torch.exp(-energy(along)[0] / KT), grid).log().item()
        for name, energy in (("well", double_well), ("spring", springs(20.0)))
    }
    report = found(End(springs(20.0), KT), End(double_well, KT), make_topology(1))
    assert_all_agree(report.found, exact["well"] - exact["spring"], slack=0.05)


def test_two_temperatures_of_one_energy_differ_by_the_equipartition(make_topology):
    """Of a harmonic well ln Z1/Z0 = ½ d ln T1/T0."""
    well = springs(20.0)
    assert_all_agree(found(End(well, KT), End(well, 2 * KT), make_topology(1)).found, 1.5 * math.log(2.0))


def test_same_ends_differ_by_nothing_and_the_same_seed_gives_the_same_bits(make_topology):
    end = End(springs(20.0), KT)
    quick = PathSettings(n_rungs=2, n_annealing=2, dynamics=Dynamics(n_samples=2, equilibration=0.0))
    first, again = (found(end, end, make_topology(1), 4, quick).found for _ in range(2))
    assert first.annealed.value.item() == pytest.approx(0, abs=1e-4)
    assert first.integral.value.item() == pytest.approx(0, abs=1e-4)
    assert torch.equal(first.frames[-1].positions, again.frames[-1].positions)


def test_mixed_energy_is_linear_between_reduced_ends(make_topology):
    """And its forces are its gradient, with a rung of its own for every conformer."""
    first, last = End(springs(2.0), KT), End(springs(5.0), 2 * KT)
    x = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    rungs = torch.tensor([0.0, 0.3, 1.0])
    mixed = MixedEnergy(first, last, rungs)
    expected = (1 - rungs) * first.reduced(x) + rungs * last.reduced(x)
    torch.testing.assert_close(mixed(x) / KT, expected)
    torch.testing.assert_close(mixed.energy_and_forces(x).forces, energy_and_forces(lambda y: mixed(y), x).forces)


def test_molecules_are_estimated_side_by_side(make_topology):
    """Of two molecules each has its own answer."""
    topology = concatenate([make_topology(1), make_topology(2)])

    def of_each(k):
        return lambda x: topology.sum_atoms(0.5 * k * x.square().sum(0))

    report = found(End(of_each(20.0), KT), End(of_each(40.0), KT), topology)
    exact = [-1.5 * math.log(2), -3 * math.log(2)]
    assert report.found.annealed.value.tolist() == pytest.approx(exact, abs=0.25)


def test_all_rungs_together_agree_with_the_exact_value():
    pytest.importorskip("pymbar")
    generator = torch.Generator().manual_seed(0)
    schedule = [0.0, 0.5, 1.0]
    stiffness = [1.0, 2.5, 4.0]
    x = torch.stack([torch.randn(2000, generator=generator) / k**0.5 for k in stiffness]).double()
    result = multistate(0.5 * x.square(), 2.0 * x.square(), schedule)
    assert result.value == pytest.approx(-0.5 * math.log(4), abs=4 * result.error)
    assert 0 < result.overlap < 0.5


def test_torsion_states_are_thirds_of_a_turn_and_basins_are_their_populations():
    angles = torch.tensor([60.0, 180.0, -60.0, 61.0]).deg2rad()
    x = torch.zeros(3, 4, 4)
    x[0, 0], x[2, 2] = 1.0, 1.0
    x[2, 3], x[0, 3], x[1, 3] = 1.0, angles.cos(), angles.sin()
    states = torsion_states(x, torch.tensor([[0], [1], [2], [3]]))
    assert sorted(states[0, :3].tolist()) == [0, 1, 2] and states[0, 0] == states[0, 3] and states[0, 1] == 1

    drawn = torch.rand(400, 50, generator=torch.Generator().manual_seed(0)) < 0.2
    both = basins(drawn.long()[None], KT, torch.Generator().manual_seed(1))
    assert [basin.state for basin in both] == [(0,), (1,)]
    assert both[0].free_energy == 0 and both[0].population + both[1].population == pytest.approx(1)
    assert basins(torch.zeros(0, 400, 50).long(), KT, torch.Generator())[0].population == 1
    assert both[1].free_energy == pytest.approx(KT * math.log(4), abs=4 * both[1].error)
