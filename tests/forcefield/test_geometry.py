"""Internal coordinates: their signs, and their gradients where they are singular."""

import math

import pytest
import torch

from molebm.forcefield import geometry

CHAIN = torch.tensor([[0], [1], [2], [3]])


def at(*atoms: tuple[float, float, float]) -> torch.Tensor:
    """Positions of one conformer, (3, N, 1)."""
    return torch.tensor(atoms, dtype=torch.float64).T[:, :, None]


def chain_with_torsion(phi: float) -> torch.Tensor:
    return at((1, 0, -1), (0, 0, 0), (0, 0, 1.5), (0.8 * math.cos(phi), 0.8 * math.sin(phi), 2))


@pytest.mark.parametrize("phi", [-3.0, -1.2, 0.3, 1.0, math.pi / 2, 2.9])
def test_torsion_is_positive_clockwise_looking_along_the_bond(phi):
    """IUPAC: looking from atom 1 to atom 2 the front bond turns clockwise onto the back one.

    Looking along +z, clockwise is from x to y.
    """
    x = chain_with_torsion(phi)
    assert geometry.torsion_angle(x, CHAIN).item() == pytest.approx(phi)
    assert geometry.cos_torsion(x, CHAIN).item() == pytest.approx(math.cos(phi))


def test_mirror_image_has_the_opposite_torsion():
    x = chain_with_torsion(1.0)
    assert geometry.torsion_angle(-x, CHAIN).item() == pytest.approx(-1.0)


def test_trans_is_minus_one():
    assert geometry.cos_torsion(chain_with_torsion(math.pi), CHAIN).item() == pytest.approx(-1)


@pytest.mark.parametrize("theta", [0.01, 1.0, 1.9, 3.13])
def test_angle_is_that_between_the_bonds(theta):
    x = at((1.2, 0, 0), (0, 0, 0), (0.9 * math.cos(theta), 0.9 * math.sin(theta), 0))
    cosine = geometry.cos_angle(x, torch.tensor([[0], [1], [2]]))
    assert geometry.angle_from_cos(cosine).item() == pytest.approx(theta, rel=1e-6)


def test_triple_product_is_the_volume_with_its_hand():
    x = at((5, 5, 5), (7, 5, 5), (5, 8, 5), (5, 5, 9))
    centre = torch.tensor([[0], [1], [2], [3]])
    assert geometry.triple_product(x, centre).item() == pytest.approx(24)
    assert geometry.triple_product(-x, centre).item() == pytest.approx(-24)


def test_wilson_angle_is_the_elevation_of_each_bond_above_the_plane_of_the_others():
    x = at(
        (1, 0, 0), (0, 0, 0), (-0.5, 1, 0), (-0.5 * math.cos(0.3), -math.cos(0.3), math.hypot(0.5, 1) * math.sin(0.3))
    )
    above_third, above_first, above_second = (
        math.asin(sine.item()) for sine in geometry.sin_wilson(x, torch.tensor([[0], [1], [2], [3]]))
    )
    assert above_third == pytest.approx(0.3)
    rolled = geometry.sin_wilson(x, torch.tensor([[2], [1], [3], [0]]))
    assert [math.asin(sine.item()) for sine in rolled] == pytest.approx([above_first, above_second, above_third])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("function", ["cos_angle", "cos_torsion", "torsion_angle", "triple_product"])
def test_gradients_are_finite_where_atoms_coincide_or_lie_on_a_line(function, dtype):
    index = CHAIN[:3] if function == "cos_angle" else CHAIN
    line = torch.zeros(3, 4, 2, dtype=dtype)
    line[0, :, 1] = torch.arange(4)
    line.requires_grad_()
    getattr(geometry, function)(line, index).sum().backward()
    assert line.grad.isfinite().all()
