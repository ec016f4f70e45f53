"""Where a force is defined."""

import pytest
import torch
from torch import Tensor

from molebm.forcefield.energy import EnergyForces, energy_and_forces


def quartic(x: Tensor) -> Tensor:
    return x.pow(4).sum((0, 1))[None]


class Fused:
    """Carries its own forces, and counts how often it is asked for them."""

    asked = 0

    def __call__(self, x: Tensor) -> Tensor:
        return quartic(x)

    def energy_and_forces(self, x: Tensor) -> EnergyForces:
        self.asked += 1
        return EnergyForces(quartic(x), -4 * x**3)


@pytest.fixture
def x() -> Tensor:
    return torch.linspace(-1, 1, 24, dtype=torch.float64).reshape(3, 4, 2)


def test_forces_are_minus_the_gradient(x):
    energy, forces = energy_and_forces(quartic, x)
    torch.testing.assert_close(forces, -4 * x**3)
    torch.testing.assert_close(energy, quartic(x))


def test_result_is_detached_and_the_positions_are_left_alone(x):
    with torch.no_grad():
        result = energy_and_forces(quartic, x)
    assert not result.energy.requires_grad
    assert not result.forces.requires_grad
    assert not x.requires_grad
    assert x.grad is None


def test_forces_can_be_differentiated_again_on_demand(x):
    stiffness = torch.ones((), dtype=x.dtype, requires_grad=True)
    forces = energy_and_forces(lambda y: stiffness * quartic(y), x, create_graph=True).forces
    (gradient,) = torch.autograd.grad(forces.sum(), stiffness)
    torch.testing.assert_close(gradient, (-4 * x**3).sum())


def test_energy_function_with_its_own_forces_is_asked_for_them(x):
    energy_fn = Fused()
    torch.testing.assert_close(energy_and_forces(energy_fn, x).forces, -4 * x**3)
    assert energy_fn.asked == 1
    assert energy_and_forces(energy_fn, x, create_graph=True).energy.requires_grad
    assert energy_fn.asked == 1
