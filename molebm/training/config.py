"""What a training run is told, read from TOML and checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from molebm.errors import RequestError

Positive = Annotated[float, Field(gt=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Count = Annotated[int, Field(ge=1)]
Range = tuple[Positive, Positive]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Weighted(_Section):
    weight: Positive = 1.0


class ConditionalNce(_Weighted):
    """Each sample against a noised copy of itself."""

    objective: Literal["conditional_nce"] = "conditional_nce"
    noise: Range = (0.005, 0.2)  # Å, range of its width, drawn log-uniformly


class InfoNce(_Weighted):
    """Each sample picked out among several noised copies."""

    objective: Literal["info_nce"] = "info_nce"
    noise: Range = (0.005, 0.2)  # Å, as above
    negatives: Count = 7


class _Chains(_Weighted):
    sampler: Literal["baoab", "mala"] = "baoab"
    n_steps: Count = 10  # of the sampler in each update
    time_step: Positive = 1.5  # fs, of BAOAB; the longest, made shorter while the motion is too hot
    hydrogen_mass: Positive = 3.0  # amu, of BAOAB
    friction: Positive = 5.0  # 1/ps, of BAOAB
    kinetic_target: Positive = 1.1  # kinetic temperature over the bath's, above which the step is shortened
    step_size: Positive = 2e-4  # Å²/(kcal/mol), of MALA, to begin with
    acceptance_target: Fraction = 0.57  # of MALA, to which its step is adapted
    tempering: bool = False  # chains of one molecule swap between temperatures
    floor: Positive = 10.0  # thermal spreads above the data beyond which a chain is pushed up no further
    regularisation: Annotated[float, Field(ge=0)] = 0.0  # of the energies of data and chains


class ContrastiveDivergence(_Chains):
    """CD-k: chains of k steps that start from data."""

    objective: Literal["contrastive_divergence"] = "contrastive_divergence"


class PersistentContrastiveDivergence(_Chains):
    """PCD: chains that go on where they stopped at the last visit to the molecule."""

    objective: Literal["persistent_contrastive_divergence"] = "persistent_contrastive_divergence"
    restart: Fraction = 0.05  # chains restarted from data
    restart_embedded: Fraction = 0.0  # chains restarted from what the embedding gave


class DenoisingScoreMatching(_Weighted):
    """The score of the data blurred by noise of one width."""

    objective: Literal["denoising_score_matching"] = "denoising_score_matching"
    noise: Positive = 0.01  # Å


class MultilevelDenoisingScoreMatching(_Weighted):
    """One energy for the scores at many widths of noise."""

    objective: Literal["multilevel_denoising_score_matching"] = "multilevel_denoising_score_matching"
    noise: Range = (0.005, 0.05)  # Å, drawn log-uniformly


class SlicedScoreMatching(_Weighted):
    """The score of the data itself, from samples alone."""

    objective: Literal["sliced_score_matching"] = "sliced_score_matching"
    projections: Count = 1


class ForceMatching(_Weighted):
    """The score of a reference that gives forces."""

    objective: Literal["force_matching"] = "force_matching"


class BoltzmannCrossEntropy(_Weighted):
    """The populations of one molecule's minima under the reference energy."""

    objective: Literal["boltzmann_cross_entropy"] = "boltzmann_cross_entropy"
    temperature: Positive = 1000.0  # K


Chains = ContrastiveDivergence | PersistentContrastiveDivergence
Objective = Annotated[
    ConditionalNce
    | InfoNce
    | ContrastiveDivergence
    | PersistentContrastiveDivergence
    | DenoisingScoreMatching
    | MultilevelDenoisingScoreMatching
    | SlicedScoreMatching
    | ForceMatching
    | BoltzmannCrossEntropy,
    Field(discriminator="objective"),
]


class Stage(_Section):
    """A number of updates on a weighted sum of objectives."""

    updates: Count
    objectives: Annotated[tuple[Objective, ...], Field(min_length=1)]

    @property
    def name(self) -> str:
        return " + ".join(objective.objective.replace("_", " ") for objective in self.objectives)


class NetworkConfig(_Section):
    """The size of the graph network."""

    width: Annotated[int, Field(ge=8)] = 128
    hidden: Annotated[int, Field(ge=8)] = 64
    n_layers: Count = 4
    gated: bool = False  # messages, by the atom that receives them


class ResidualConfig(_Section):
    """The optional network of couplings that the kernel lacks, evaluated at every step."""

    width: Annotated[int, Field(ge=8)] = 32
    n_layers: Count = 2
    n_densities: Count = 8
    hidden: Count = 16
    cutoff: Positive = 5.0  # Å
    bound: Positive = 3.0  # kcal/mol per atom


class PoolConfig(_Section):
    """How much of the data is in memory, and for how long."""

    shards: Count = 32
    visits: Positive = 20.0  # mean number of updates a molecule takes part in before its shard makes room


class OptimiserConfig(_Section):
    """AdamW with gradient clipping, warm-up, a cosine schedule and averaged weights."""

    learning_rate: Positive = 1e-3
    final_learning_rate: Positive = 2e-5
    warm_up: Annotated[int, Field(ge=0)] = 50  # updates over which the rate rises from zero
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    clip: Positive = 10.0  # norm of the gradient
    outlier: Positive = 10.0  # times the batch's median, to which the gradient of one molecule is scaled down
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.999  # of the exponential moving average


DEFAULT_STAGES = (
    Stage(updates=300, objectives=(ConditionalNce(),)),
    Stage(updates=6000, objectives=(PersistentContrastiveDivergence(),)),
)


class TrainingConfig(_Section):
    """One training run."""

    seed: int = 0
    molecules_per_update: Count = 16  # in each process
    temperatures: tuple[Positive, ...] = (300.0, 500.0, 800.0)  # K, as prepared
    columns: Count = 48  # chains and data samples of each molecule, shared evenly by the temperatures
    precision: Literal["float32", "bfloat16"] = "float32"  # of the graph network on a GPU; energies stay float32
    max_shards: Count | None = None
    report_every: Count = 100
    validate_every: Count = 500
    stages: Annotated[tuple[Stage, ...], Field(min_length=1)] = DEFAULT_STAGES
    network: NetworkConfig = NetworkConfig()
    residual: ResidualConfig | None = None
    pool: PoolConfig = PoolConfig()
    optimiser: OptimiserConfig = OptimiserConfig()

    @model_validator(mode="after")
    def _share_columns(self) -> TrainingConfig:
        if self.columns % len(self.temperatures):
            raise ValueError(f"{self.columns} columns cannot be shared evenly by {len(self.temperatures)} temperatures")
        return self

    @property
    def total_updates(self) -> int:
        return sum(stage.updates for stage in self.stages)

    def stage_at(self, update: int) -> int:
        """Index of the stage that an update, counted from 0, belongs to."""
        for index, stage in enumerate(self.stages):
            if update < stage.updates:
                return index
            update -= stage.updates
        return len(self.stages) - 1


def read_config(path: Path) -> TrainingConfig:
    """Read a TOML file; every key may be left out.

    Raises
    ------
    RequestError
        If the file is missing or not TOML, or a key is unknown or out of range.
    """
    try:
        return TrainingConfig.model_validate(tomllib.loads(path.read_text()))
    except OSError as error:
        raise RequestError(f"cannot read '{path}': {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"'{path}' is not TOML: {error}") from error
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RequestError(f"'{path}' asks for what cannot be: {wrong}") from error
