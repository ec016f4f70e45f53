"""What a training run is told, read from TOML and checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from molebm.errors import RequestError

Positive = Annotated[float, Field(gt=0)]
Count = Annotated[int, Field(ge=0)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkConfig(_Section):
    """The size of the graph network."""

    width: Annotated[int, Field(ge=8)] = 128
    hidden: Annotated[int, Field(ge=8)] = 64
    n_layers: Annotated[int, Field(ge=1)] = 4


class WarmUpConfig(_Section):
    """Conditional noise-contrastive estimation from scratch."""

    updates: Count = 1500
    noise: tuple[Positive, Positive] = (0.005, 0.2)  # Å, range of its width, drawn log-uniformly


class ContrastConfig(_Section):
    """Persistent contrastive divergence."""

    updates: Count = 6000
    n_steps: Annotated[int, Field(ge=1)] = 10  # of BAOAB per update
    time_step: Positive = 1.5  # fs
    hydrogen_mass: Positive = 3.0  # amu
    friction: Positive = 5.0  # 1/ps
    restart: Annotated[float, Field(ge=0, le=1)] = 0.05  # fraction of chains restarted from data


class OptimiserConfig(_Section):
    """AdamW with gradient clipping, a cosine schedule and averaged weights."""

    learning_rate: Positive = 1e-3
    final_learning_rate: Positive = 2e-5
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    clip: Positive = 10.0  # norm of the gradient
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.999  # of the exponential moving average


class TrainingConfig(_Section):
    """One training run."""

    seed: int = 0
    molecules_per_update: Annotated[int, Field(ge=1)] = 16
    temperatures: tuple[Positive, ...] = (300.0, 500.0, 800.0)  # K, as prepared
    columns: Annotated[int, Field(ge=1)] = 16  # chains and data samples of each molecule, spread over temperatures
    max_molecules: Annotated[int, Field(ge=1)] | None = None
    report_every: Annotated[int, Field(ge=1)] = 100
    validate_every: Annotated[int, Field(ge=1)] = 500
    network: NetworkConfig = NetworkConfig()
    warm_up: WarmUpConfig = WarmUpConfig()
    contrast: ContrastConfig = ContrastConfig()
    optimiser: OptimiserConfig = OptimiserConfig()

    @property
    def total_updates(self) -> int:
        return self.warm_up.updates + self.contrast.updates


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
