"""Everything that can go wrong, told apart the way a caller has to react to it.

Adapters turn each vendor's exception into one of these, with the cause chained and a message that says what to do.
"""

from enum import Enum, auto


class Remedy(Enum):
    """What a person can do about an error. The domain knows no command line: an app names the command or flag."""

    BUILD_DATA = auto()
    NAME_DATA_VERSION = auto()
    MEASURE_ON_VAL = auto()
    TRAIN = auto()
    NAME_SOURCE = auto()
    COMPARE = auto()
    COMPARE_BY_EVALUATION = auto()
    COMPARE_AND_STAGE = auto()
    STAGE = auto()
    TEST = auto()
    APPROVE = auto()
    ROLL_BACK = auto()
    SHOW_STATUS = auto()


class FmnistError(Exception):
    """Root of the tree: the work failed, and the message is meant for a person.

    Attributes:
        remedies: what would help, where this is known; an app adds it to the message.
    """

    def __init__(self, message: str, *remedies: Remedy) -> None:
        super().__init__(message)
        self.remedies = remedies


class BadInput(FmnistError):
    """What the caller asked for cannot work, whoever runs it: a wrong value, or a name that is not there."""


class InvalidImages(BadInput):
    """Pixels in a layout, type or range that is not a batch of 28x28 grey pictures."""


class InvalidSetting(BadInput):
    """A flag, variable or file with a value outside of what it means."""


class DataVersionNotFound(BadInput):
    """The data registry has no such version."""


class SplitNotFound(BadInput):
    """The data version has no such split."""


class RunNotFound(BadInput):
    """The tracker knows no such run."""


class ModelNotFound(BadInput):
    """The model store has no such model, version or alias."""


class CorruptData(FmnistError):
    """Stored data is not what its hash, schema or metadata says."""


class CorruptModel(FmnistError):
    """A stored model lacks a part, or does not answer as it did when it was saved."""


class StoreUnavailable(FmnistError):
    """A registry, tracker, store or disk does not answer or may not be written."""


class TrainingFailed(FmnistError):
    """Training ended without a model."""


class OutOfMemory(TrainingFailed):
    """A training step asks for more memory than the accelerator has; the message says what would ask for less."""


class ReportFailed(FmnistError):
    """The report on a model cannot be drawn; the model is as good as before."""


class MetricNotFound(BadInput):
    """A run lacks the metric that a decision rests on, or has no usable number for it."""


class NotReady(BadInput):
    """A step of a promotion was asked for before what it rests on: a decision, a passed test, an approval."""


class Conflict(FmnistError):
    """Somebody else changed what this work was built on, so it stopped."""


class UnexpectedReply(FmnistError):
    """A service answered otherwise than its contract says."""
