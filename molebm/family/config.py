"""What every training run of the family is told, read from TOML and checked."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from molebm.errors import RequestError
from molebm.training.config import Count, Positive


class FamilyConfig(BaseModel):
    """Seed, length and optimiser (Adam, cosine schedule, averaged weights) of one run; a kind adds its own keys."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    seed: Annotated[int, Field(ge=0)] = 0
    updates: Count = 2000
    batch_size: Count = 128
    learning_rate: Positive = 1e-3
    final_learning_rate: Positive = 1e-5
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    clip: Positive = 10.0  # norm of the gradient
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.99  # of the exponential moving average, which is the model
    report_every: Count = 100  # updates
    validate_every: Count = 500  # updates


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises
    ------
    RequestError
        If it is missing or not TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise RequestError(f"cannot read '{path}': {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise RequestError(f"'{path}' is not TOML: {error}") from error


def checked(config_class: type[FamilyConfig], keys: dict[str, Any], path: Path | str) -> FamilyConfig:
    """Check the keys of one kind.

    Raises
    ------
    RequestError
        If a key is unknown or out of range.
    """
    try:
        return config_class.model_validate(keys)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise RequestError(f"'{path}' asks for what cannot be: {wrong}") from error
