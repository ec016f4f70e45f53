"""What can go wrong, as types a caller can catch.

Every message names the item that failed and says what to do about it.
"""

from __future__ import annotations

from dataclasses import dataclass


class MolebmError(Exception):
    """Base of all errors that molebm raises on purpose."""


class MoleculeError(MolebmError, ValueError):
    """One molecule cannot be used: unparsable, empty, disconnected, outside the elements known."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What no molecule has, and where; the words name atoms as N7, counting from 0."""

    words: str
    atoms: tuple[int, ...]


class GraphError(MoleculeError):
    """The record was read, but no molecule has such atoms and bonds.

    A valence is exceeded, aromatic bonds have no Kekulé structure, electrons are unpaired or there are several
    fragments. The message tells of the first fault and its cure, `faults` of all.
    """

    def __init__(self, message: str, faults: tuple[Fault, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults


class ForceFieldParameterError(MoleculeError):
    """The force field has no parameters for some part of the molecule."""


class EmbeddingError(MoleculeError):
    """No starting coordinates could be found for the molecule."""


class StereoError(MoleculeError):
    """The stereochemistry that was declared cannot be met."""


class TimeLimitError(MolebmError, TimeoutError):
    """The molecule took longer than it was given."""


class RequestError(MolebmError, ValueError):
    """The request itself is wrong: a missing file, an unknown option, an output in the way."""


class CheckpointError(MolebmError, ValueError):
    """A checkpoint or data shard is missing, damaged or of another version."""


class DivergenceError(MolebmError, ArithmeticError):
    """Training has run away: the model's own samples explode or its gradients are no numbers."""
