"""A foreign program as an energy function: it is asked in its own terms, and differentiated once."""

import numpy as np
import pytest
import torch

from molebm.errors import RequestError
from molebm.forcefield.energy import energy_and_forces
from molebm.references.external import ExternalEnergy


def quartic(positions: np.ndarray) -> tuple[float, np.ndarray]:
    return float((positions**4).sum()), -4 * positions**3


@pytest.fixture
def x() -> torch.Tensor:
    return torch.linspace(-1, 1, 30, dtype=torch.float64).reshape(3, 5, 2)


def test_program_is_given_one_conformer_at_a_time_in_double_precision(x):
    seen = []

    def record(positions: np.ndarray) -> tuple[float, np.ndarray]:
        seen.append(positions)
        return 0.0, np.zeros_like(positions)

    ExternalEnergy(record)(x.float())
    assert [frame.shape for frame in seen] == [(5, 3), (5, 3)]
    assert all(frame.dtype == np.float64 for frame in seen)
    np.testing.assert_allclose(seen[1], x[:, :, 1].T, rtol=1e-6)


def test_energies_and_forces_are_those_of_the_program(x):
    energy, forces = ExternalEnergy(quartic).energy_and_forces(x)
    torch.testing.assert_close(energy, x.pow(4).sum((0, 1))[None])
    torch.testing.assert_close(forces, -4 * x**3)


def test_gradient_is_minus_the_forces_times_what_comes_from_above(x):
    weights = torch.tensor([[2.0, -3.0]], dtype=x.dtype)
    x.requires_grad_()
    (weights * ExternalEnergy(quartic)(x)).sum().backward()
    torch.testing.assert_close(x.grad, weights * 4 * x.detach() ** 3)
    assert torch.autograd.gradcheck(ExternalEnergy(quartic), x)


def test_forces_by_autograd_are_the_fused_ones(x):
    energy_fn = ExternalEnergy(quartic)
    torch.testing.assert_close(energy_and_forces(energy_fn.__call__, x), energy_and_forces(energy_fn, x))


def test_result_has_the_type_of_the_positions(x):
    energy, forces = ExternalEnergy(quartic).energy_and_forces(x.float())
    assert energy.dtype == forces.dtype == torch.float32
    assert ExternalEnergy(quartic)(x.double()).dtype == torch.float64


def test_second_derivatives_are_refused(x):
    """They would else be zero unnoticed, next to an energy function that has them."""
    forces = energy_and_forces(ExternalEnergy(quartic).__call__, x.requires_grad_(), create_graph=True).forces
    with pytest.raises(RequestError, match="no second derivatives"):
        forces.square().sum().backward()


def test_exploded_conformer_is_not_shown_to_the_program_and_spoils_no_other(x):
    x[1, 2, 0] = float("inf")

    def refuse(positions: np.ndarray) -> tuple[float, np.ndarray]:
        assert np.isfinite(positions).all()
        return quartic(positions)

    energy, forces = ExternalEnergy(refuse).energy_and_forces(x)
    assert energy[0, 0].isnan()
    assert forces[:, :, 0].isnan().all()
    torch.testing.assert_close(forces[:, :, 1], -4 * x[:, :, 1] ** 3)


def test_no_conformers_are_no_energies():
    energy, forces = ExternalEnergy(quartic).energy_and_forces(torch.empty(3, 5, 0))
    assert energy.shape == (1, 0)
    assert forces.shape == (3, 5, 0)


def test_forces_of_another_shape_are_refused(x):
    with pytest.raises(RequestError, match=r"\(3,\) for a conformer \(5, 3\)"):
        ExternalEnergy(lambda positions: (0.0, np.zeros(3)))(x)
