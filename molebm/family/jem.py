r"""Joint energy model: a classifier whose logits are also an energy of what it classifies.

One network gives K logits f(x). Read as a joint energy :math:`E(x, y) = -f(x)_y` they say both

.. math:: p(y \mid x) = \mathrm{softmax}(f(x))_y, \qquad E(x) = -\ln\sum_y e^{f(x)_y},

so that :math:`\ln p(x, y) = \ln p(y \mid x) - E(x) - \ln Z`: the classifier is as it was, and the size of its logits,
which a softmax forgets, says how likely x itself is.

References
----------
Grathwohl, Wang, Jacobsen, Duvenaud, Norouzi and Swersky, ICLR 2020, arXiv:1912.03263.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated, Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from molebm.errors import RequestError
from molebm.family.config import FamilyConfig
from molebm.family.interface import Data, FamilyModel, Moment, State, Step
from molebm.family.langevin import Buffer, langevin
from molebm.training.config import Count, Fraction, Positive

NotNegative = Annotated[float, Field(ge=0)]


class JemConfig(FamilyConfig):
    """How a JEM is trained; with `generative` 0 it is a plain classifier."""

    model: Literal["jem"] = "jem"
    width: Count = 64
    n_layers: Count = 2
    envelope: Positive = 1.5  # width of the Gaussian of each class, in spreads within classes
    ridge: NotNegative = 0.1  # of the variance of each feature, added to that within classes
    smoothing: NotNegative = 0.1  # spreads, Gaussian noise on data, which have a density only with it
    generative: NotNegative = 1.0  # weight of -ln p(x) beside -ln p(y|x)
    regularisation: NotNegative = 1e-3  # of the mean square of the energies
    n_steps: Count = 20  # of Langevin in each update
    step_size: Positive = 0.03  # squared spreads
    chains: Count = 2000  # that wait in the buffer
    restart: Fraction = 0.05  # chains that begin anew, from the Gaussians
    trusted: tuple[str, ...] | None = None  # classes that p-values are held against; all if left out


class JointLoss(NamedTuple):
    """The two halves of -ln p(x, y), and what keeps energies from running away."""

    classification: Tensor  # -ln p(y|x)
    contrast: Tensor  # its gradient is that of -ln p(x)
    magnitude: Tensor  # mean square of the energies


def marginal_energy(logits: Tensor) -> Tensor:
    """Give E(x) of logits (n, K), (n,); Z is unknown, and the same for all x."""
    return -torch.logsumexp(logits, dim=-1)


def joint_energy(logits: Tensor, y: Tensor) -> Tensor:
    """Give E(x, y) of logits (n, K) and classes (n,) int64, (n,)."""
    return -logits.gather(-1, y[:, None])[:, 0]


def joint_loss(logits_data: Tensor, y: Tensor, logits_model: Tensor) -> JointLoss:
    r"""Compare data with the model's own samples, which are constants.

    .. math:: -\nabla\ln p(x, y) = -\nabla\ln p(y \mid x) + \nabla E(x) - \langle\nabla E(x')\rangle_{x' \sim p}

    Parameters
    ----------
    logits_data, logits_model
        (n, K) of data, and of samples that Langevin made.
    y
        (n,) int64.
    """
    data, model = marginal_energy(logits_data), marginal_energy(logits_model)
    classification = nn.functional.cross_entropy(logits_data, y)
    magnitude = (data.square().mean() + model.square().mean()) / 2
    return JointLoss(classification, data.mean() - model.mean(), magnitude)


class JointEnergyModel(FamilyModel):
    r"""Gaussians of one shape, one for each class, and a perceptron that corrects them.

    .. math:: f(x)_y = g(z)_y - |z - m_y|^2 / 2s^2 + \ln\pi_y, \qquad z = W (x - \bar x)

    W makes the spread within classes one in every direction. Before training g is 0, which is linear discriminant
    analysis; since g grows no faster than |z|, Z stays finite, and far from all data E(x) grows with the square of the
    distance.

    Parameters
    ----------
    envelope
        s.
    trusted_classes
        Those that p-values are held against.

    References
    ----------
    Fisher, Ann. Eugen. 7, 179 (1936), for the discriminant.
    """

    kind = "jem"
    Config = JemConfig
    centre: Tensor  # (D,)
    whitening: Tensor  # (D, D) W, the transpose of
    means: Tensor  # (K, D) m, in units of z
    log_prior: Tensor  # (K,)

    def __init__(
        self, n_features: int, n_classes: int, width: int, n_layers: int, envelope: float, trusted_classes: list[int]
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inside, outside in pairwise([n_features, *[width] * n_layers]):
            layers += [nn.Linear(inside, outside), nn.SiLU()]
        last = nn.Linear(width, n_classes)
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.network = nn.Sequential(*layers, last)
        self.envelope, self.trusted_classes = envelope, trusted_classes
        self._sizes = {"n_features": n_features, "n_classes": n_classes, "width": width, "n_layers": n_layers}
        self.register_buffer("centre", torch.zeros(n_features))
        self.register_buffer("whitening", torch.eye(n_features))
        self.register_buffer("means", torch.zeros(n_classes, n_features))
        self.register_buffer("log_prior", torch.zeros(n_classes))

    @classmethod
    def build(cls, config: JemConfig, data: Data) -> JointEnergyModel:
        classes = list(data.facts.get("classes", ()))
        if len(classes) < 2:
            raise RequestError("a JEM tells classes apart, and these features have none; give features with classes")
        trusted = classes if config.trusted is None else config.trusted
        if unknown := set(trusted) - set(classes):
            raise RequestError(f"trusted: there is no class {sorted(unknown)}; the features have {classes}")
        (batch,) = data.batches("train", data.count("train"), torch.device("cpu"))
        places = [classes.index(name) for name in trusted]
        model = cls(
            batch["x"].shape[1], len(classes), config.width, config.n_layers, config.envelope, trusted_classes=places
        )
        model.fit_gaussians(batch["x"], batch["y"], ridge=config.ridge)
        return model

    def fit_gaussians(self, x: Tensor, y: Tensor, *, ridge: float) -> None:
        """Take means, shape and shares of the classes from x (n, D) and y (n,).

        To the spread within classes, a matrix, `ridge` of the variance of each feature is added: a feature that is the
        same throughout each class is no infinitely sharp knife.
        """
        n_classes = len(self.means)
        centre, spread = x.mean(0), x.std(0)
        scale = torch.where(spread > 0, spread, torch.ones_like(spread))
        of_class = nn.functional.one_hot(y, n_classes).to(x)
        counts = of_class.sum(0).clamp(min=1)
        z = (x - centre) / scale
        inside = z - (of_class.T @ z / counts[:, None])[y]
        within = inside.T @ inside / len(x) + ridge * torch.eye(x.shape[1]).to(x)
        values, vectors = torch.linalg.eigh(within.double())
        root = (vectors * values.clamp(min=1e-9).rsqrt()) @ vectors.T
        self.centre.copy_(centre)
        self.whitening.copy_(root.to(x) / scale[:, None])
        self.means.copy_(of_class.T @ self.whitened(x) / counts[:, None])
        self.log_prior.copy_((counts / counts.sum()).log())

    def settings(self) -> dict[str, Any]:
        return {**self._sizes, "envelope": self.envelope, "trusted_classes": self.trusted_classes}

    def whitened(self, x: Tensor) -> Tensor:
        """Give z of features (n, D)."""
        return (x - self.centre) @ self.whitening

    def logits_of_whitened(self, z: Tensor) -> Tensor:
        """Give f (n, K) of z (n, D), in which Langevin moves."""
        away = (z[:, None] - self.means).square().sum(-1)  # (n, K)
        return self.network(z) - away / (2 * self.envelope**2) + self.log_prior

    def logits(self, x: Tensor) -> Tensor:
        """Give f(x), (n, K)."""
        return self.logits_of_whitened(self.whitened(x))

    def energy(self, x: Tensor) -> Tensor:
        return marginal_energy(self.logits(x))

    def probabilities(self, x: Tensor) -> Tensor:
        return self.logits(x).softmax(-1)

    def trusted(self, batch: dict[str, Tensor]) -> Tensor:
        known = torch.tensor(self.trusted_classes, device=batch["y"].device)
        return torch.isin(batch["y"], known)

    def begin(self, config: JemConfig, data: Data, moment: Moment) -> State:
        if not config.generative:
            return {}
        return {"chains": self.gaussians(config.chains, moment.generator)}

    def step(self, batch: dict[str, Tensor], state: State, config: JemConfig, moment: Moment) -> Step:
        """Follow -ln p(y|x) and, by chains of the buffer, -ln p(x)."""
        z = self.whitened(batch["x"])
        z = z + config.smoothing * torch.empty_like(z).normal_(generator=moment.generator)
        if not config.generative:
            logits = self.logits_of_whitened(z)
            return Step(nn.functional.cross_entropy(logits, batch["y"]), _figures(logits, batch["y"]), {})
        buffer = Buffer(state["chains"])
        rows, start = buffer.draw(len(z), moment.generator)
        fresh = torch.rand(len(z), generator=moment.generator, device=z.device) < config.restart
        start = torch.where(fresh[:, None], self.gaussians(len(z), moment.generator), start)
        chains = langevin(
            lambda x: marginal_energy(self.logits_of_whitened(x)),
            start,
            step_size=config.step_size,
            n_steps=config.n_steps,
            generator=moment.generator,
        )
        logits = self.logits_of_whitened(z)
        loss = joint_loss(logits, batch["y"], self.logits_of_whitened(chains))
        total = loss.classification + config.generative * (loss.contrast + config.regularisation * loss.magnitude)
        figures = {**_figures(logits, batch["y"]), "contrast": loss.contrast.item()}
        return Step(total, figures, {"chains": buffer.keep(rows, chains).chains})

    def evaluate(self, batch: dict[str, Tensor], generator: torch.Generator) -> dict[str, float]:
        logits = self.logits(batch["x"])
        loss = nn.functional.cross_entropy(logits, batch["y"]).item()
        return {**_figures(logits, batch["y"]), "cross-entropy": loss}

    def gaussians(self, count: int, generator: torch.Generator) -> Tensor:
        """Draw z (count, D) from the Gaussians of the classes."""
        y = torch.multinomial(self.log_prior.exp(), count, replacement=True, generator=generator)
        noise = torch.empty_like(self.means[y]).normal_(generator=generator)
        return self.means[y] + self.envelope * noise


def _figures(logits: Tensor, y: Tensor) -> dict[str, float]:
    found = (logits.argmax(-1) == y).float().mean().item()
    return {"accuracy": found, "energy": marginal_energy(logits).mean().item()}
