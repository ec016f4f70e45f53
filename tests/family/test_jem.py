"""The joint energy model: one set of logits, read as a classifier and as an energy."""

import pytest
import torch
from torch.nn.functional import cross_entropy

from molebm.errors import RequestError
from molebm.family.config import checked
from molebm.family.features import Features
from molebm.family.interface import Moment
from molebm.family.jem import JemConfig, JointEnergyModel, joint_energy, joint_loss, marginal_energy
from molebm.family.langevin import langevin

CLASSES = ["far", "near", "other"]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moment(progress: float = 0.0) -> Moment:
    return Moment(progress, generator())


@pytest.fixture
def data() -> Features:
    y = torch.arange(90) % 3
    x = torch.randn(90, 4, generator=generator()) + 3 * y[:, None]
    return Features(
        {"x": x, "y": y}, ["train"] * 60 + ["validation"] * 30, [f"m{i}" for i in range(90)], {"classes": CLASSES}
    )


def config(**keys: object) -> JemConfig:
    found = checked(JemConfig, {"width": 8, "chains": 32, **keys}, "test")
    if not isinstance(found, JemConfig):
        raise TypeError(found)
    return found


def model(data: Features, **keys: object) -> JointEnergyModel:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        return JointEnergyModel.build(config(**keys), data)


def test_the_joint_energy_is_that_of_the_class_and_that_of_the_structure():
    """-ln p(x, y) = -ln p(y|x) + E(x), but for ln Z."""
    logits, y = 5 * torch.randn(20, 4, generator=generator()).double(), torch.arange(20) % 4
    of_class = -logits.log_softmax(-1).gather(1, y[:, None])[:, 0]
    assert torch.allclose(joint_energy(logits, y), of_class + marginal_energy(logits), atol=1e-12)


def test_the_energy_of_a_structure_is_the_sum_over_its_classes():
    logits = torch.randn(20, 4, generator=generator()).double()
    weights = torch.stack([torch.exp(-joint_energy(logits, torch.full((20,), y))) for y in range(4)])
    assert torch.allclose(torch.exp(-marginal_energy(logits)), weights.sum(0))


def test_before_training_it_is_the_discriminant_of_gaussians_of_one_shape(data):
    """Both p(y|x) and, but for ln Z, -ln p(x) of Gaussians with the means, shares and spread of the classes."""
    jem = model(data, envelope=1.0, ridge=0.0).double()
    x, y = data.tensors["x"][:60].double(), data.tensors["y"][:60]
    means = torch.stack([x[y == k].mean(0) for k in range(3)])
    inside = x - means[y]
    gaussians = torch.distributions.MultivariateNormal(means, inside.T @ inside / 60)
    logits = gaussians.log_prob(x[:, None]) + torch.bincount(y).div(60).log()
    assert torch.allclose(jem.probabilities(x), logits.softmax(-1), atol=1e-5)
    constant = jem.energy(x) - marginal_energy(logits)
    assert torch.allclose(constant, constant[:1].expand(60), atol=1e-4)


def test_a_feature_that_never_changes_says_nothing(data):
    x = torch.cat([data.tensors["x"], torch.full((90, 1), 7.0)], dim=1)
    jem = model(Features({"x": x, "y": data.tensors["y"]}, data.splits, data.names, data.facts))
    assert jem.energy(x).isfinite().all()
    assert torch.allclose(jem.probabilities(x), model(data).probabilities(data.tensors["x"]), atol=1e-4)


def test_logits_of_gaussians_give_the_discriminant_of_the_textbook_and_the_exact_density():
    """f(x)_y = ln N(x; μ_y, 1) + ln π_y: p(y|x) by the rule of Bayes, E(x) = -ln p(x) with Z = 1."""
    means, prior = torch.tensor([-1.0, 2.0]).double(), torch.tensor([0.3, 0.7]).double()
    x = torch.linspace(-12, 13, 2001).double()
    gaussians = torch.distributions.Normal(means, 1.0)
    logits = gaussians.log_prob(x[:, None]) + prior.log()
    assert torch.trapezoid(torch.exp(-marginal_energy(logits)), x) == pytest.approx(1, abs=1e-9)
    odds = prior[1] / prior[0] * torch.exp((means[1] - means[0]) * x - (means[1] ** 2 - means[0] ** 2) / 2)
    assert torch.allclose(logits.softmax(-1)[:, 1], odds / (1 + odds))


def test_langevin_on_quadratic_logits_samples_their_gaussian_exactly():
    """All logits equal -λ|x - μ|²/2: E is quadratic, and the variance is 1/λ but for the bias of the step."""
    stiffness, step_size, centre = 2.0, 0.02, torch.tensor([1.0, -1.0])

    def energy(x: torch.Tensor) -> torch.Tensor:
        logits = -stiffness * (x - centre).square().sum(-1, keepdim=True) / 2
        return marginal_energy(logits.expand(-1, 3))

    chains = langevin(energy, torch.zeros(4000, 2), step_size=step_size, n_steps=250, generator=generator())
    variance = 1 / (stiffness * (1 - stiffness * step_size / 2))
    assert torch.allclose(chains.mean(0), centre, atol=4 * (variance / len(chains)) ** 0.5)
    assert torch.allclose(chains.var(0) / variance, torch.ones(2), atol=4 * (2 / len(chains)) ** 0.5)


def test_the_gradient_is_that_of_the_classifier_and_that_of_contrastive_divergence(data):
    """And equals the mean gradient of E(x, y) over data less that of E(x) over chains."""
    jem = model(data).double()
    x, y = data.tensors["x"][:20].double(), data.tensors["y"][:20]
    chains = torch.randn(15, 4, generator=generator()).double()
    weights = list(jem.network.parameters())

    def gradient(loss: torch.Tensor) -> torch.Tensor:
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, weights)])

    loss = joint_loss(jem.logits(x), y, jem.logits(chains))
    found = gradient(loss.classification + loss.contrast)
    of_classifier = gradient(cross_entropy(jem.logits(x), y))
    of_divergence = gradient(jem.energy(x).mean() - jem.energy(chains).mean())
    of_joint = gradient(joint_energy(jem.logits(x), y).mean() - jem.energy(chains).mean())
    assert torch.allclose(found, of_classifier + of_divergence, atol=1e-12)
    assert torch.allclose(found, of_joint, atol=1e-12)


def test_learning_the_density_of_one_gaussian_finds_its_energy():
    """Contrast alone, no class to tell: E(x) - E(0) comes out as x²/2."""
    y = torch.arange(4000) % 2
    x = torch.randn(4000, 1, generator=generator())
    normal = Features({"x": x, "y": y}, ["train"] * 4000, ["m"] * 4000, {"classes": ["a", "b"]})
    settings = config(smoothing=0.0, regularisation=0.0, chains=512, step_size=0.2, width=16, envelope=2.0, n_steps=4)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        jem = JointEnergyModel.build(settings, normal)
    optimiser = torch.optim.Adam(jem.parameters(), lr=1e-2)
    now = moment()
    state = jem.begin(settings, normal, now)
    late: list[torch.Tensor] = []
    at = torch.tensor([[0.0], [-1.5], [1.5]])
    for update in range(300):
        step = jem.step(normal.draw(128, now.generator, torch.device("cpu")), state, settings, now)
        optimiser.zero_grad()
        step.loss.backward()
        optimiser.step()
        state = step.state
        if update >= 150:
            late.append(jem.energy(at).detach())
    middle, *ends = torch.stack(late).mean(0).tolist()
    assert [end - middle for end in ends] == pytest.approx([1.125, 1.125], abs=0.3)


def test_without_the_generative_half_it_is_a_classifier(data):
    jem, settings = model(data, generative=0.0), config(generative=0.0, smoothing=0.0)
    state = jem.begin(settings, data, moment())
    batch = data.draw(30, generator(), torch.device("cpu"))
    step = jem.step(batch, state, settings, moment())
    assert state == step.state == {}
    assert step.loss.item() == pytest.approx(cross_entropy(jem.logits(batch["x"]), batch["y"]).item())


def test_a_model_is_built_again_from_its_settings_and_weights(data):
    jem = model(data, trusted=["near"])
    again = JointEnergyModel(**jem.settings())
    again.load_state_dict(jem.state_dict())
    x = data.tensors["x"]
    assert torch.equal(again.energy(x), jem.energy(x))
    assert again.trusted({"y": torch.tensor([0, 1, 2])}).tolist() == [False, True, False]


def test_features_without_classes_say_what_to_do(data):
    bare = Features({"x": data.tensors["x"]}, data.splits, data.names, {})
    with pytest.raises(RequestError, match="give features with classes"):
        JointEnergyModel.build(config(), bare)
    with pytest.raises(RequestError, match=r"no class \['nowhere'\]"):
        JointEnergyModel.build(config(trusted=["nowhere"]), data)
