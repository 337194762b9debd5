"""How two models answered the same images: the one that serves, and its shadow.

It holds only integers and reasons. So any division of the same images into batches and replicas gives the same sum.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.model.traffic.sketch import MILLION, Counts, added, millionths

_NONE: Counts = len(CLASS_NAMES) * (0,)
_MOST_FAULTS = 10


@dataclass(frozen=True, slots=True)
class Pair:
    """URIs of the version that serves, and of the version that is compared with it."""

    model_uri: str
    shadow_uri: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """The comparison of a pair on some images.

    Attributes:
        images: number of compared images, by the class that the serving model gave.
        agreed: number of them that got the same class from both.
        dropped: number of images that were not compared.
        confidence, shadow_confidence: sums of the confidences, in millionths.
        difference: sum of the absolute differences of both confidences, in millionths.
        microseconds, shadow_microseconds: sums of the times of both.
        faults: reasons why replicas switched the shadow off; sorted, and the first ten of them.
    """

    images: Counts = _NONE
    agreed: Counts = _NONE
    dropped: int = 0
    confidence: int = 0
    shadow_confidence: int = 0
    difference: int = 0
    microseconds: int = 0
    shadow_microseconds: int = 0
    faults: tuple[str, ...] = ()

    @classmethod
    def of(cls, served: Probabilities, shadow: Probabilities, *, seconds: float, shadow_seconds: float) -> Self:
        """Compare probabilities float32 (n, classes) of both models for the same images, and note their times."""
        labels, rows = served.argmax(axis=1), (served.astype(np.float64), shadow.astype(np.float64))
        confidence, other = (each.max(axis=1) for each in rows)
        return cls(
            images=_by_class(labels),
            agreed=_by_class(labels[labels == shadow.argmax(axis=1)]),
            confidence=millionths(confidence),
            shadow_confidence=millionths(other),
            difference=millionths(np.abs(confidence - other)),
            microseconds=round(MILLION * seconds),
            shadow_microseconds=round(MILLION * shadow_seconds),
        )

    @classmethod
    def joined(cls, agreements: Iterable[Self]) -> Self:
        """Return the comparison on all images of these; an empty one for none."""
        each = list(agreements)
        return cls(
            images=added([_NONE, *(one.images for one in each)]),
            agreed=added([_NONE, *(one.agreed for one in each)]),
            dropped=sum(one.dropped for one in each),
            confidence=sum(one.confidence for one in each),
            shadow_confidence=sum(one.shadow_confidence for one in each),
            difference=sum(one.difference for one in each),
            microseconds=sum(one.microseconds for one in each),
            shadow_microseconds=sum(one.shadow_microseconds for one in each),
            faults=tuple(sorted({fault for one in each for fault in one.faults})[:_MOST_FAULTS]),
        )


def _by_class(labels: np.ndarray) -> Counts:
    return tuple(np.bincount(labels, minlength=len(CLASS_NAMES)).tolist())
