"""Whether the images and answers of a window differ from those of the reference by more than chance."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.evaluation.metrics import FloatArray
from fmnist.domain.model.traffic.feedback import RealizedAccuracy
from fmnist.domain.model.traffic.sketch import Counts, Sketch, Statistic, TrafficWindow

LEAST_IMAGES = 100
"""A smaller window gets no verdict."""
FALSE_ALARMS = 0.01
"""Share of windows like the reference that are called drifted, at most."""
_RESAMPLES = 2000
_SEED = 20170825
_Histograms = npt.NDArray[np.int64]


class Verdict(StrEnum):
    """What a window says of the traffic."""

    UNKNOWN = "unknown"
    OK = "ok"
    DRIFTED = "drifted"


@dataclass(frozen=True, slots=True)
class Distance:
    """The distance of one statistic from the reference.

    Attributes:
        value: Jensen-Shannon distance of the two histograms, in [0, 1].
        chance: distance that images like those of the reference exceed in at most one of 700 windows of this size.
    """

    value: float
    chance: float

    @property
    def drifted(self) -> bool:
        """Whether the distance is above chance."""
        return self.value > self.chance


def distances(window: Sketch, reference: Sketch) -> dict[Statistic, Distance]:
    """Compare a window with the reference. Both have at least one image."""
    counts = tuple(reference.counts[statistic] for statistic in Statistic)
    by_chance = chances(size_for_chance(window.images), reference.images, counts)
    return {
        statistic: Distance(float(jensen_shannon(np.array(window.counts[statistic]), np.array(there))), chance)
        for statistic, there, chance in zip(Statistic, counts, by_chance, strict=True)
    }


# A window that grows meets 32 sizes until it has doubled. So this is enough for windows of several models.
@lru_cache(maxsize=256)
def chances(images: int, reference_images: int, reference: tuple[Counts, ...]) -> tuple[float, ...]:
    """Return the distance that chance gives, for each of the reference's histograms. It takes 0.1 s or more.

    It is found by resampling: a window and a reference of these sizes, both drawn from the reference's histogram.
    """
    random = np.random.default_rng(_SEED)
    quantile = 1 - FALSE_ALARMS / len(Statistic)
    found = []
    for there in map(np.array, reference):
        # Half an image more in each bin (Jeffreys' prior): an empty bin of the reference does not mean "never".
        shares = (there + 0.5) / (there + 0.5).sum()
        by_chance = jensen_shannon(
            random.multinomial(images, shares, _RESAMPLES), random.multinomial(reference_images, shares, _RESAMPLES)
        )
        found.append(float(np.quantile(by_chance, quantile)))
    return tuple(found)


def size_for_chance(images: int) -> int:
    """Round down to six binary digits, so that windows of nearly the same size share their chances.

    By chance, a smaller window differs more: here by less than 1.6 %. So windows alarm no more often than stated.
    """
    digits = max(images.bit_length() - 6, 0)
    return images >> digits << digits


def jensen_shannon(first: _Histograms, second: _Histograms) -> FloatArray:
    """Return the Jensen-Shannon distance of histograms int64 (..., bins), to base 2: float64 (...), in [0, 1].

    Endres and Schindelin 2003, "A New Metric for Probability Distributions". Empty histograms are not allowed.
    """
    p, q = (counts / counts.sum(axis=-1, keepdims=True) for counts in (first, second))
    middle = (p + q) / 2
    divergence = (_relative_entropy(p, middle) + _relative_entropy(q, middle)) / 2
    return np.asarray(np.sqrt(np.maximum(divergence, 0)))


def _relative_entropy(p: FloatArray, q: FloatArray) -> FloatArray:
    ratio = np.divide(p, q, out=np.ones_like(p), where=p > 0)
    total: FloatArray = (p * np.log2(ratio)).sum(axis=-1)
    return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """The judgement on a window of a model version.

    Attributes:
        distances: of each statistic; empty without a reference or without images.
        realized: the accuracy on the labelled images of the last answers; None without labels.
    """

    model_uri: str
    window: TrafficWindow
    reference: Sketch | None
    distances: Mapping[Statistic, Distance]
    realized: RealizedAccuracy | None = None

    @classmethod
    def of(cls, model_uri: str, window: TrafficWindow, reference: Sketch | None) -> Self:
        """Compare the window with the reference, which was made on `val` when the model was saved."""
        found = distances(window.sketch, reference) if reference and window.sketch.images else {}
        return cls(model_uri=model_uri, window=window, reference=reference, distances=found)

    @property
    def verdict(self) -> Verdict:
        """The verdict. It is unknown while `reason` says why."""
        if self.reason is not None:
            return Verdict.UNKNOWN
        return Verdict.DRIFTED if any(each.drifted for each in self.distances.values()) else Verdict.OK

    @property
    def reason(self) -> str | None:
        """Why there is no verdict; None if there is one."""
        if self.reference is None:
            return "no reference: the model was saved by an earlier release"
        if self.window.sketch.images < LEAST_IMAGES:
            return f"fewer than {LEAST_IMAGES} images"
        return None
