"""A sketch of the images that a model classified, and of its answers: histograms, from which no image can be restored.

It holds only integers. So any division of the same images into batches, minutes and replicas gives the same sum.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS, Images
from fmnist.domain.model.evaluation.metrics import FloatArray, softmax
from fmnist.domain.model.evaluation.robustness import energies

Counts = tuple[int, ...]
Features = npt.NDArray[np.int64]

_INK = 32  # from this level on, a pixel belongs to the article
MILLION = 1_000_000
"""Sums of fractions are kept in millionths."""


class Statistic(StrEnum):
    """What a sketch counts, for each image."""

    PIXEL_MEAN = "pixel_mean"
    PIXEL_SPREAD = "pixel_spread"
    INK_SHARE = "ink_share"
    CLASS = "class"
    CONFIDENCE = "confidence"
    ENTROPY = "entropy"
    ENERGY = "energy"


EDGES: Mapping[Statistic, FloatArray] = {
    Statistic.PIXEL_MEAN: np.linspace(0, 256, 33),
    Statistic.PIXEL_SPREAD: np.linspace(0, 128, 33),
    Statistic.INK_SHARE: np.linspace(0, 1, 29),
    Statistic.CLASS: np.arange(len(CLASS_NAMES) + 1, dtype=np.float64),
    Statistic.CONFIDENCE: np.linspace(0, 1, 21),
    Statistic.ENTROPY: np.linspace(0, np.log(len(CLASS_NAMES)), 24),
    Statistic.ENERGY: np.linspace(0, 32, 65),
}
"""Edges of the bins, float64 (bins + 1,). The first and the last bin also count what lies beyond."""


def features_of(images: Images) -> Features:
    """Return what a sketch needs of images uint8 (n, 28, 28): int64 (n, 3), sums of pixels, of squares, and ink."""
    pixels = images.reshape(len(images), PIXELS)
    found = np.empty((len(images), 3), np.int64)
    # The smallest types that hold the results, because this is in the way of every answer.
    squares = np.square(pixels, dtype=np.uint16)
    ink = (pixels >= _INK).view(np.uint8)
    for column, each in enumerate((pixels, squares, ink)):
        found[:, column] = np.add.reduce(each, axis=1, dtype=np.uint32)
    return found


@dataclass(frozen=True, slots=True)
class Sketch:
    """The sketch of some images, all classified by one model.

    Attributes:
        images: how many there are.
        counts: for each statistic, the number of images in each bin.
        confidence: sum of the answers' confidences, in millionths.
        variance: sum of confidence * (1 - confidence), in millionths.
    """

    images: int
    counts: Mapping[Statistic, Counts]
    confidence: int
    variance: int

    @classmethod
    def of(cls, features: Features, logits: npt.NDArray[np.float32]) -> Self:
        """Sketch features int64 (n, 3) of `features_of`, and the model's logits float32 (n, classes)."""
        probabilities = softmax(logits).astype(np.float64)
        confidence = probabilities.max(axis=1)
        mean = features[:, 0] / PIXELS
        logs = np.log(np.maximum(probabilities, np.finfo(np.float64).tiny))
        values: Mapping[Statistic, FloatArray] = {
            Statistic.PIXEL_MEAN: mean,
            Statistic.PIXEL_SPREAD: np.sqrt(np.maximum(features[:, 1] / PIXELS - mean**2, 0)),
            Statistic.INK_SHARE: features[:, 2] / PIXELS,
            Statistic.CLASS: probabilities.argmax(axis=1),
            Statistic.CONFIDENCE: confidence,
            Statistic.ENTROPY: -(probabilities * logs).sum(axis=1),
            Statistic.ENERGY: energies(logits),
        }
        return cls(
            images=len(features),
            counts={statistic: _histogram(values[statistic], edges) for statistic, edges in EDGES.items()},
            confidence=millionths(confidence),
            variance=millionths(confidence * (1 - confidence)),
        )

    @classmethod
    def joined(cls, sketches: Iterable[Self]) -> Self:
        """Return the sketch of all images of these sketches; an empty one for none."""
        each = list(sketches)
        return cls(
            images=sum(sketch.images for sketch in each),
            counts={
                statistic: added([(len(edges) - 1) * (0,), *(sketch.counts[statistic] for sketch in each)])
                for statistic, edges in EDGES.items()
            },
            confidence=sum(sketch.confidence for sketch in each),
            variance=sum(sketch.variance for sketch in each),
        )

    def expected_accuracy(self) -> tuple[float, float, float]:
        """Estimate the accuracy from the confidences, with a 95 % interval: value, low, high. It needs an image.

        Confidence-based performance estimation, as in Guillory et al. 2021, "Predicting with Confidence on Unseen
        Distributions": the mean of calibrated confidences. The interval is that of a sum of independent answers, each
        right with its confidence. It knows nothing of confidences that are wrong.
        """
        value = self.confidence / MILLION / self.images
        half = 1.96 * np.sqrt(self.variance / MILLION) / self.images
        return value, max(0.0, value - half), min(1.0, value + half)


@dataclass(frozen=True, slots=True)
class TrafficWindow:
    """The images that one model version answered in the last minutes.

    Attributes:
        since, until: the first and the last minute with an image, in minutes since 1970 (UTC); None without images.
    """

    sketch: Sketch
    since: int | None
    until: int | None


def _histogram(values: FloatArray, edges: FloatArray) -> Counts:
    bins = len(edges) - 1
    places = np.clip(np.searchsorted(edges, values, "right") - 1, 0, bins - 1)
    return tuple(np.bincount(places, minlength=bins).tolist())


def added(each: list[Counts]) -> Counts:
    """Add histograms of one length."""
    return tuple(np.sum(each, axis=0).tolist())


def millionths(values: FloatArray) -> int:
    """Sum values (n,) in millionths, each rounded for itself, so that the sum does not depend on their order."""
    return int(np.rint(values * MILLION).astype(np.int64).sum())
