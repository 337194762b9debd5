"""Errors of the domain: one class for each way in which a caller has to react.

Adapters turn each vendor's exception into one of these, and chain the cause.
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
    SAY_WHO = auto()
    SAY_WHY = auto()
    SHOW_STATUS = auto()


class FmnistError(Exception):
    """Root of the error tree: the work failed, and the message is for a person.

    Attributes:
        remedies: what a person can do, if known. An app adds it to the message.
    """

    def __init__(self, message: str, *remedies: Remedy) -> None:
        super().__init__(message)
        self.remedies = remedies


class BadInput(FmnistError):
    """The request cannot work on any machine: a value is wrong, or a name does not exist."""


class InvalidImages(BadInput):
    """The input is not a batch of grey 28x28 images: its layout, type or range is wrong."""


class InvalidSetting(BadInput):
    """A flag, variable or file has a value that is not allowed."""


class DataVersionNotFound(BadInput):
    """The data registry has no such version."""


class SplitNotFound(BadInput):
    """The data version has no such split."""


class RunNotFound(BadInput):
    """The tracker knows no such run."""


class ModelNotFound(BadInput):
    """The model store has no such model, version or alias."""


class CorruptData(FmnistError):
    """Stored data does not match its hash, schema or metadata."""


class CorruptModel(FmnistError):
    """A stored model lacks a part, or its answers differ from those at the time of saving."""


class StoreUnavailable(FmnistError):
    """A registry, tracker, store or disk does not answer, or cannot be written."""


class TrainingFailed(FmnistError):
    """Training ended without a model."""


class OutOfMemory(TrainingFailed):
    """A training step needs more memory than the accelerator has. The message says how to use less."""


class ReportFailed(FmnistError):
    """The report on a model cannot be drawn. The model itself is not affected."""


class MetricNotFound(BadInput):
    """A run lacks the metric that a decision needs, or the metric is not a finite number."""


class NotReady(BadInput):
    """A promotion step lacks what it needs first: a decision, a passed test or an approval."""


class Conflict(FmnistError):
    """Somebody else changed the state that this work depends on, so it stopped."""


class UnexpectedReply(FmnistError):
    """A service gave a reply that its contract does not allow."""
