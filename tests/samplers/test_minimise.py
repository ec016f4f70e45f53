import pytest
import torch

from molebm.forcefield.energy import EnergyForces, energy_and_forces
from molebm.samplers.minimise import minimise


class Counted:
    """Count the evaluations of an energy function."""

    def __init__(self, energy_fn):
        self.energy_fn, self.n = energy_fn, 0

    def __call__(self, positions):
        self.n += 1
        return self.energy_fn(positions)


def ill_conditioned(topology, centre, curvatures):
    """A quadratic whose curvatures (3, N) kcal/mol/Å² span many decades, its minimum at `centre` (3, N)."""
    return lambda x: topology.sum_atoms((curvatures[..., None] / 2 * (x - centre[..., None]).square()).sum(0))


def rosenbrock(topology):
    """The curved valley 100 (y - x²)² + (1 - x)² + z² of every atom, lowest at (1, 1, 0)."""
    return lambda r: topology.sum_atoms(100 * (r[1] - r[0] ** 2) ** 2 + (1 - r[0]) ** 2 + r[2] ** 2)


@pytest.mark.parametrize("softest", [0.1, 1e-5])
def test_minimum_of_an_ill_conditioned_quadratic_is_the_analytic_one(make_topology, generator, softest):
    """Condition number 1e4; |x - x0| <= |F|/k_min follows from the tolerance on the force."""
    topology = make_topology(10, 7)
    shuffled = torch.randperm(51, generator=generator)
    curvatures = softest * torch.logspace(0, 4, 51, dtype=torch.float64)[shuffled].view(3, 17)
    centre = torch.randn(3, 17, dtype=torch.float64, generator=generator)
    energy_fn = Counted(ill_conditioned(topology, centre, curvatures))
    start = centre[..., None] + 0.3 * torch.randn(3, 17, 8, dtype=torch.float64, generator=generator)
    minimum = minimise(energy_fn, topology, start, force_tolerance=0.01 * softest)
    assert minimum.converged.all()
    assert (minimum.max_force <= 0.01 * softest).all()
    torch.testing.assert_close(minimum.positions, centre[..., None].expand_as(start), atol=0.01, rtol=0)
    assert energy_fn.n < 500


def test_curved_valley_is_followed_to_its_end(make_topology, generator):
    topology = make_topology(1)
    energy_fn = Counted(rosenbrock(topology))
    start = torch.tensor([-1.2, 1.0, 0.5])[:, None, None] + 0.2 * torch.randn(3, 1, 32, generator=generator)
    minimum = minimise(energy_fn, topology, start, force_tolerance=1e-3)
    assert minimum.converged.all()
    lowest = torch.tensor([1.0, 1, 0])[:, None, None].expand(3, 1, 32)
    torch.testing.assert_close(minimum.positions, lowest, atol=5e-3, rtol=0)
    assert energy_fn.n < 100


def test_reported_energy_force_and_steps_are_those_of_the_positions(make_topology, double_well, generator):
    topology = make_topology(2, 1)
    energy_fn = Counted(double_well(topology, 5.0))
    start = torch.randn(3, 3, 6, generator=generator)
    minimum = minimise(energy_fn, topology, start)
    assert minimum.steps.max() == energy_fn.n - 1
    energy, forces = energy_and_forces(energy_fn, minimum.positions)
    torch.testing.assert_close(minimum.energy, energy)
    torch.testing.assert_close(minimum.max_force[1], forces[:, 2].norm(dim=0))
    torch.testing.assert_close(minimum.max_force[0], forces[:, :2].norm(dim=0).amax(0))
    assert (minimum.energy <= energy_fn(start)).all()


def test_each_conformer_goes_to_the_well_it_starts_in(make_topology, double_well):
    topology = make_topology(1)
    start = torch.tensor([-1.3, -0.6, 0.6, 1.3]).view(1, 1, 4) * torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    minimum = minimise(double_well(topology, 5.0), topology, start)
    assert minimum.converged.all()
    assert torch.equal(minimum.positions[0, 0].sign(), torch.tensor([-1.0, -1, 1, 1]))


def test_start_near_the_top_of_a_barrier_is_left_in_few_steps(make_topology, double_well):
    """The energy curves down there, so the curvature says nothing of the length of the step."""
    topology = make_topology(1)
    start = torch.tensor([-0.02, 0.05]).view(1, 1, 2) * torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    minimum = minimise(double_well(topology, 5.0), topology, start)
    assert minimum.converged.all() and (minimum.steps < 25).all()


def test_minimum_does_not_depend_on_the_company(make_topology, generator):
    """A molecule and a conformer alone end, after as many steps, where they end in a batch."""
    batch, alone = make_topology(3, 4), make_topology(4)
    start = 2 * torch.randn(3, 7, 5, dtype=torch.float64, generator=generator)
    together = minimise(rosenbrock(batch), batch, start)
    single = minimise(rosenbrock(alone), alone, start[:, 3:, 2:3])
    torch.testing.assert_close(together.positions[:, 3:, 2:3], single.positions)
    torch.testing.assert_close(together.energy[1:, 2:3], single.energy)
    assert torch.equal(together.steps[1:, 2:3], single.steps)


def test_minimisation_is_repeatable_to_the_bit(make_topology, generator):
    topology = make_topology(3, 2)
    start = torch.randn(3, 5, 4, generator=generator)
    first, second = (minimise(rosenbrock(topology), topology, start) for _ in range(2))
    assert torch.equal(first.positions, second.positions)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), 1e25])
def test_broken_start_is_returned_unconverged_and_touches_no_neighbour(make_topology, generator, broken):
    topology = make_topology(2, 3)
    start = torch.randn(3, 5, 4, generator=generator)
    good = minimise(rosenbrock(topology), topology, start)
    energy_fn, spoilt = Counted(rosenbrock(topology)), start.clone()
    spoilt[0, 0, 1] = broken
    bad = minimise(energy_fn, topology, spoilt)
    assert not bad.converged[0, 1] and bad.steps[0, 1] == 0
    torch.testing.assert_close(bad.positions[:, :2, 1], spoilt[:, :2, 1], equal_nan=True)
    assert energy_fn.n < 200  # the hopeless conformer does not keep the loop going
    healthy = torch.ones(2, 4, dtype=torch.bool)
    healthy[0, 1] = False
    assert good.converged.all() and torch.equal(bad.converged, healthy)
    assert torch.equal(bad.energy[healthy], good.energy[healthy])
    atoms = healthy[topology.molecule]
    assert torch.equal(bad.positions[:, atoms], good.positions[:, atoms])


@pytest.mark.parametrize("energy, force", [("nan", "nan"), ("inf", "nan"), ("-inf", "0"), ("-1", "nan"), ("-1", "inf")])
def test_step_to_where_energy_or_force_is_not_finite_is_taken_back(make_topology, harmonic, energy, force):
    """The first step along a stiff spring overshoots to x < 0, where all is broken, and its neighbour's does not."""
    topology, origin = make_topology(1), torch.tensor([0.1, 0, 0]).view(3, 1, 1)
    spring = harmonic(topology, 4000.0)

    class BrokenLeftOfZero:
        def energy_and_forces(self, x):
            sound = energy_and_forces(spring, x - origin)
            left = x[0] < 0
            return EnergyForces(
                torch.where(left, float(energy), sound.energy), torch.where(left, float(force), sound.forces)
            )

    start = origin + torch.tensor([0.05, -0.01]) * torch.tensor([1.0, 0, 0]).view(3, 1, 1)
    minimum = minimise(BrokenLeftOfZero(), topology, start)
    assert minimum.converged.all()
    torch.testing.assert_close(minimum.positions, origin.expand(3, 1, 2), atol=0.05 / 4000, rtol=0)


def test_step_that_raises_the_energy_is_not_taken(make_topology, harmonic):
    topology, start = make_topology(1), torch.tensor([0.04, 0, 0]).view(3, 1, 1)
    minimum = minimise(harmonic(topology, 4000.0), topology, start, max_steps=1)
    assert torch.equal(minimum.positions, start) and minimum.steps.item() == 1


def test_rounding_of_the_energy_does_not_stop_the_descent(make_topology, generator):
    """An energy of 1,000 kcal/mol in single precision is uncertain by more than the last steps can gain."""
    topology = make_topology(3)
    smooth = ill_conditioned(topology, torch.zeros(3, 3), torch.logspace(0.5, 2.5, 9).view(3, 3))
    uncertainty = 10 * 1000 * torch.finfo(torch.float32).eps

    class Rounded:
        def energy_and_forces(self, x):
            energy, forces = energy_and_forces(smooth, x)
            return EnergyForces(energy + 1000 + uncertainty * (1e6 * x[0, :1]).sin(), forces)

    minimum = minimise(Rounded(), topology, torch.randn(3, 3, 100, generator=generator), force_tolerance=0.005)
    assert minimum.converged.all()


def test_no_atom_moves_further_than_allowed_in_a_step(make_topology, harmonic):
    topology = make_topology(2, 1)
    start = torch.full((3, 3, 2), 50.0)
    minimum = minimise(harmonic(topology, 1000.0), topology, start, max_steps=1, max_displacement=0.1)
    assert (minimum.positions - start).norm(dim=0).flatten().tolist() == pytest.approx([0.1] * 6, rel=1e-3)
    assert not minimum.converged.any()


def test_minimum_is_left_alone(make_topology, harmonic):
    topology = make_topology(2)
    energy_fn = Counted(harmonic(topology, 100.0))
    minimum = minimise(energy_fn, topology, torch.zeros(3, 2, 3))
    assert minimum.converged.all() and energy_fn.n == 1 and (minimum.steps == 0).all()


def test_steps_run_out_without_losing_what_was_gained(make_topology, generator):
    """Two of the conformers converge at once and are dropped; the rest are stopped on the way."""
    topology = make_topology(2)
    energy_fn = Counted(rosenbrock(topology))
    start = torch.randn(3, 2, 8, generator=generator)
    start[:, :, 2:4] = torch.tensor([1.0, 1, 0])[:, None, None]
    minimum = minimise(energy_fn, topology, start, max_steps=7)
    assert energy_fn.n == 8
    assert minimum.steps.tolist() == [[7, 7, 0, 0, 7, 7, 7, 7]]
    assert torch.equal(minimum.converged, minimum.steps == 0)
    torch.testing.assert_close(minimum.energy, energy_fn(minimum.positions))
    assert (minimum.energy <= energy_fn(start)).all()


@pytest.mark.gpu
def test_minimiser_runs_on_a_gpu(make_topology, generator):
    topology = make_topology(2, 3)
    start = torch.randn(3, 5, 4, generator=generator)
    here = minimise(rosenbrock(topology), topology, start)
    topology = topology.to("cuda")
    there = minimise(rosenbrock(topology), topology, start.to("cuda"))
    assert there.converged.all() and there.positions.device.type == "cuda"
    torch.testing.assert_close(there.energy.cpu(), here.energy, atol=1e-3, rtol=0)


def test_starting_positions_are_not_written_to(make_topology, harmonic):
    topology, start = make_topology(2), torch.ones(3, 2, 3)
    minimise(harmonic(topology, 100.0), topology, start)
    assert torch.equal(start, torch.ones(3, 2, 3))
