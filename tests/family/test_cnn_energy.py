"""The energy of pictures: convolutions that are the same everywhere, and what they are taught against."""

import math

import pytest
import torch
from torch.nn.functional import softplus

from molebm.errors import RequestError
from molebm.family.cnn_energy import FIRST_SPREAD, MASS, SHIFTED, CnnConfig, CnnEnergy
from molebm.family.features import Features
from molebm.family.interface import Moment
from molebm.family.langevin import langevin
from molebm.family.picture_noise import WAYS, rescaled, spoiled

BOX = (12, 12, 12)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def cnn(stiffness: float = 0.0, channels: int = 2) -> CnnEnergy:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        return CnnEnergy(channels, [4, 4], stiffness).double()


def blob(n: int = 1, channels: int = 2) -> torch.Tensor:
    """Pictures that are empty but for a few voxels in the middle."""
    x = torch.zeros(n, channels, 24, 24, 24).double()
    x[:, :, 10:13, 10:13, 10:13] = torch.rand(n, channels, 3, 3, 3, generator=generator()).double()
    return x


def test_what_is_moved_in_empty_space_keeps_its_energy():
    """By two voxels, over which the convolutions repeat; the local energies move with it."""
    model, x = cnn(), blob()
    moved = torch.roll(x, (2, -2, 4), dims=(2, 3, 4))
    assert model.energy(moved).item() == pytest.approx(model.energy(x).item(), rel=1e-12)
    local = torch.roll(model.local_energies(x), (1, -1, 2), dims=(1, 2, 3))  # the grid is halved once
    assert torch.allclose(model.local_energies(moved), local, atol=1e-14)


def test_empty_space_has_no_energy():
    assert cnn(stiffness=1.0).energy(torch.zeros(1, 2, *BOX).double()).item() == 0


def test_local_energies_of_molecules_far_apart_add_and_their_energy_is_for_what_there_is():
    model, x = cnn(), blob()
    wide = torch.cat([x, x], dim=4)
    local, mass = model.local_energies(x).sum().item(), x.sum().item() / MASS
    assert model.local_energies(wide).sum().item() == pytest.approx(2 * local, rel=1e-12)
    assert model.energy(x).item() == pytest.approx(local / (1 + mass), rel=1e-12)
    assert model.energy(wide).item() == pytest.approx(2 * local / (1 + 2 * mass), rel=1e-12)


def test_before_training_every_convolution_varies_as_much():
    """On the pictures that the weights were scaled by."""
    model, x = cnn(), torch.rand(8, 2, *BOX, generator=generator()).double()
    model.scale_weights(x)
    for layer in model.convolutions:
        x = layer(x)
        if isinstance(layer, torch.nn.Conv3d) and layer is not model.convolutions[-1]:
            assert x.std().item() == pytest.approx(1)
    assert x.std().item() == pytest.approx(FIRST_SPREAD)


def test_without_convolutions_the_energy_is_quadratic_and_its_samples_are_gaussian():
    stiffness, step_size = 2.0, 0.1
    model = CnnEnergy(1, [2], stiffness)
    torch.nn.init.zeros_(model.convolutions[-1].weight)
    x = torch.randn(5, 1, 4, 4, 4, generator=generator())
    assert torch.allclose(model.energy(x), stiffness / 2 * x.square().flatten(1).sum(1))
    chains = langevin(model.energy, torch.zeros(50, 1, 4, 4, 4), step_size=step_size, n_steps=60, generator=generator())
    variance = 1 / (stiffness * (1 - step_size * stiffness / 2))
    assert chains.var().item() == pytest.approx(variance, rel=4 * (2 / chains.numel()) ** 0.5)


def test_the_gradient_of_the_loss_is_that_of_finite_differences():
    model = cnn()
    x, wrong = blob(3)[..., 6:18, 6:18, 6:18], torch.rand(3, 2, *BOX, generator=generator()).double()
    weight = model.convolutions[0].weight

    def loss() -> torch.Tensor:
        return softplus(model.energy(x)).mean() + softplus(-model.energy(wrong)).mean()

    (gradient,) = torch.autograd.grad(loss(), weight)
    for place in [(0, 0, 0, 0, 0), (1, 1, 2, 0, 1), (3, 0, 1, 1, 1)]:
        step = 1e-5
        with torch.no_grad():
            weight[place] += step
            above = loss()
            weight[place] -= 2 * step
            below = loss()
            weight[place] += step
        assert gradient[place].item() == pytest.approx(((above - below) / (2 * step)).item(), rel=1e-5, abs=1e-9)


def test_noise_contrastive_estimation_learns_the_ratio_of_two_gaussians():
    """Told x ~ N(0, 1) from y ~ N(0, 4): the best logit has E(x) - E(0) = 3x²/8, summed over 8 voxels."""
    model = CnnEnergy(1, [1], 0.0)
    torch.nn.init.zeros_(model.convolutions[-1].weight)
    model.convolutions.requires_grad_(False)
    stiffness = torch.nn.Parameter(torch.zeros(()))
    optimiser = torch.optim.Adam([stiffness, model.offset], lr=0.05)
    chance = generator()
    for _ in range(300):
        x = torch.randn(128, 1, 2, 2, 2, generator=chance)
        y = 2 * torch.randn(128, 1, 2, 2, 2, generator=chance)
        model.stiffness = stiffness
        loss = softplus(model.energy(x)).mean() + softplus(-model.energy(y)).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert stiffness.item() == pytest.approx(0.75, abs=0.12)
    assert model.offset.item() == pytest.approx(-8 * torch.tensor(2.0).log().item(), abs=0.8)


@pytest.mark.parametrize("way", WAYS)
def test_each_way_of_spoiling_changes_a_picture_and_leaves_the_given_one(way):
    x = torch.rand(5, *BOX, generator=generator())
    before, part = x.clone(), torch.arange(12).view(1, 12, 1, 1) < 6
    wrong = way(x, torch.rand(5, *BOX, generator=generator(1)), part, generator())
    assert torch.equal(x, before)
    assert way is rescaled or torch.equal(wrong[:, 6:], x[:, 6:])
    assert not torch.equal(wrong[:, :6], x[:, :6])


def test_a_picture_is_rescaled_about_its_middle():
    """A plane off the middle moves towards it or away, and keeps its distance from what it was in no other way."""
    x = torch.zeros(1, 21, 5, 5)
    x[:, 15] = 1.0
    wrong = rescaled(x, x, torch.ones(1, 21, 1, 1, dtype=torch.bool), generator())
    centre = (wrong.sum((0, 2, 3)) * torch.arange(21)).sum() / wrong.sum()
    factor = (centre - 10).item() / 5
    assert math.exp(0.1) <= max(factor, 1 / factor) <= math.exp(0.6) + 0.1
    assert torch.equal(wrong[:, :, 0], wrong[:, :, 4])


def test_spoiling_is_the_same_for_the_same_chance():
    x = torch.rand(6, 5, *BOX, generator=generator())
    assert torch.equal(spoiled(x, generator(4)), spoiled(x, generator(4)))


@pytest.mark.parametrize("objective", ["nce", "cd"])
def test_a_few_steps_lower_the_energy_of_data_below_that_of_what_they_are_told_from(objective):
    x = torch.zeros(24, 2, *BOX)
    x[:, 0, 4:8, 4:8, 4:8] = 1
    facts = {"features": {"name": "grid", "settings": {}}}
    data = Features({"x": x, SHIFTED: torch.roll(x, 1, 2) / 2}, ["train"] * 24, ["m"] * 24, facts)
    config = CnnConfig(objective=objective, widths=(4,), chains=24, stiffness=1.0, n_steps=5, step_size=0.05)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = CnnEnergy.build(config, data)
    optimiser = torch.optim.Adam(model.parameters(), lr=3e-3)
    now = Moment(0.0, generator())
    state = model.begin(config, data, now)
    for _ in range(40):
        step = model.step(data.draw(12, now.generator, torch.device("cpu")), state, config, now)
        optimiser.zero_grad()
        step.loss.backward()
        optimiser.step()
        state = step.state
    noise = torch.randn(24, 2, *BOX, generator=generator()) * x.std()
    with torch.no_grad():
        assert model.energy(x).mean() < model.energy(spoiled(x, generator(2))).mean()
        assert model.energy(x).mean() < model.energy(noise).mean()
    again = CnnEnergy(**model.settings())
    again.load_state_dict(model.state_dict())
    assert torch.equal(again.energy(x), model.energy(x))


def test_features_that_are_no_pictures_say_what_to_do():
    flat = Features({"x": torch.zeros(3, 7)}, ["train"] * 3, ["m"] * 3, {})
    with pytest.raises(RequestError, match="--features grid"):
        CnnEnergy.build(CnnConfig(), flat)
