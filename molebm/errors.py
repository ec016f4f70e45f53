"""What can go wrong, as types a caller can catch.

Every message names the item that failed and says what to do about it.
"""


class MolebmError(Exception):
    """Base of all errors that molebm raises on purpose."""


class MoleculeError(MolebmError, ValueError):
    """One molecule cannot be used: unparsable, empty, disconnected, outside the elements known."""


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
