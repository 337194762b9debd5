"""Answers of a service, the true classes that are told later, and the accuracy that follows from both."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Self

from fmnist.domain.model.evaluation.metrics import wilson_interval

MOST_IMAGES = 100_000
"""So many answered images are kept. The oldest answers are forgotten."""


# A tuple: hashing and comparing a dataclass takes ten times as long, for each request that is answered.
class Answer(NamedTuple):
    """The answer to one request. Equal values are the same answer.

    Attributes:
        milliseconds: when it was given, since 1970 (UTC).
        request_id: id of the request, which its reply shows as `x-request-id`.
        model_uri: the version that gave it.
        classes: predicted class of each image.
        confidences: probability of that class for each image, in [0, 1].
    """

    milliseconds: int
    request_id: str
    model_uri: str
    classes: tuple[int, ...]
    confidences: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class TrueClass:
    """What somebody tells of one image: the request's id, the image's index in it, and the image's class, 0-9."""

    request_id: str
    index: int
    class_id: int


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """An accepted true class. Of two labels of one image, the lesser counts: the earlier one.

    Attributes:
        milliseconds: when it was accepted, since 1970 (UTC).
        answered: the `milliseconds` of its answer.
    """

    milliseconds: int
    request_id: str
    index: int
    class_id: int
    answered: int


class Refusal(StrEnum):
    """Why true classes are refused."""

    UNKNOWN = "unknown"
    REPEATED_ID = "repeated_id"


@dataclass(frozen=True, slots=True)
class Labelling:
    """What became of the true classes of one call. If one is refused, none is accepted.

    Attributes:
        accepted: how many count from now on.
        ignored: how many came too late, because their image had a label.
        refusal: why the true class at `position` is refused; None if none is.
    """

    accepted: int = 0
    ignored: int = 0
    refusal: Refusal | None = None
    position: int = 0


@dataclass(frozen=True, slots=True)
class RealizedAccuracy:
    """The accuracy on the labelled images, with its 95 % interval by Wilson. It needs a labelled image."""

    labelled: int
    right: int
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, labelled: int, right: int) -> Self | None:
        """Return the accuracy of `right` out of `labelled` images; None without images."""
        return cls(labelled, right, right / labelled, *wilson_interval(right, labelled)) if labelled else None
