"""What two models did that share the requests of a service: the champion and its challenger.

It holds only integers. So any division of the same calls into replicas gives the same sum.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.traffic.sketch import MILLION, Counts, added

TIME_BINS = 24
_NO_TIMES: Counts = TIME_BINS * (0,)
_NO_CLASSES: Counts = len(CLASS_NAMES) * (0,)


@dataclass(frozen=True, slots=True)
class Trial:
    """URIs of champion and challenger, and the challenger's share of the requests in percent.

    Each share is a trial of its own. Requests of another hour, in another mixture, must not be compared.
    """

    model_uri: str
    challenger_uri: str
    percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arm:
    """The calls of one model. A call classifies the images of one or more requests.

    Attributes:
        times: answered calls by their time for one image. Bin i counts those from 2**i to 2**(i + 1) microseconds. The
            first and the last bin also count what lies beyond.
        failed: number of calls without an answer.
        classes: answered calls by the class of their first image. Images of one request are alike, so only one counts.
    """

    times: Counts = _NO_TIMES
    failed: int = 0
    classes: Counts = _NO_CLASSES

    @classmethod
    def of(cls, seconds: Sequence[float], labels: Sequence[int], failed: int) -> Self:
        """Count calls: for each answered one the seconds for one image, and a class; and those that failed."""
        micros = np.maximum(np.array([*seconds]) * MILLION, 1)
        bins = np.minimum(np.log2(micros).astype(np.int64), TIME_BINS - 1)
        return cls(
            times=tuple(np.bincount(bins, minlength=TIME_BINS).tolist()),
            failed=failed,
            classes=tuple(np.bincount(np.array([*labels], np.int64), minlength=len(CLASS_NAMES)).tolist()),
        )

    @classmethod
    def joined(cls, each: Iterable[Self]) -> Self:
        """Return all calls of these."""
        arms = list(each)
        return cls(
            times=added([_NO_TIMES, *(arm.times for arm in arms)]),
            failed=sum(arm.failed for arm in arms),
            classes=added([_NO_CLASSES, *(arm.classes for arm in arms)]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialCounts:
    """The calls of both models in a trial. `began` is the second of the first call since 1970 (UTC), if any."""

    champion: Arm = Arm()
    challenger: Arm = Arm()
    began: int | None = None

    @classmethod
    def joined(cls, each: Iterable[Self]) -> Self:
        """Return the calls of all replicas and times."""
        found = list(each)
        return cls(
            champion=Arm.joined(one.champion for one in found),
            challenger=Arm.joined(one.challenger for one in found),
            began=min((one.began for one in found if one.began is not None), default=None),
        )
