"""How a model answers outside of its test set: for corrupted images, and for pictures unlike those of the training.

The grid follows Hendrycks and Dietterich 2019, "Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations": several kinds of corruption, each in five severities.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.metrics import (
    FloatArray,
    Probabilities,
    expected_calibration_error,
    softmax,
    wilson_interval,
)

SEVERITIES = range(1, 6)
INSIDE = 0.95
"""Share of `val` that passes the threshold of a detection."""


class Corruption(StrEnum):
    """A kind of corruption."""

    NOISE = "noise"
    BLUR = "blur"
    CONTRAST = "contrast"
    BRIGHTNESS = "brightness"
    SHIFT = "shift"
    ROTATION = "rotation"
    SCALE = "scale"
    OCCLUSION = "occlusion"
    JPEG = "JPEG"
    PIXELATION = "pixelation"
    INVERSION = "inversion"


CELLS = len(Corruption) * len(SEVERITIES)
Hits = npt.NDArray[np.int64]

Corrupt = Callable[[Images, Corruption, int], Images]
"""Corrupts images uint8 (n, 28, 28) by a severity of 0 (not at all) to 5. A row changes alike, whatever rows follow."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A model's answers for all images of a split, under one corruption or none.

    Attributes:
        confidence: mean confidence, in [0, 1].
        ece: expected calibration error.
    """

    images: int
    right: int
    confidence: float
    ece: float

    @classmethod
    def of(cls, labels: npt.NDArray[Any], probabilities: Probabilities) -> Self:
        """Measure probabilities float32 (n, classes) for labels (n,), n >= 1."""
        return cls(
            images=len(labels),
            right=int((probabilities.argmax(axis=1) == labels).sum()),
            confidence=float(probabilities.max(axis=1).mean(dtype=np.float64)),
            ece=expected_calibration_error(labels, probabilities),
        )

    @property
    def accuracy(self) -> float:
        """Share of correct answers, in [0, 1]."""
        return self.right / self.images

    @property
    def interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return wilson_interval(self.right, self.images)


@dataclass(frozen=True, slots=True)
class Detection:
    """How well a score tells articles from other pictures.

    Attributes:
        outside: what these pictures are.
        score: name of the score.
        auroc: probability that an article has the higher score; 0.5 is a guess.
        false_alarms: share of these pictures above the threshold that 95 % of `val` pass. It is known as the false
            positive rate at 95 %.
    """

    outside: str
    score: str
    auroc: float
    false_alarms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Robustness:
    """A model's answers for a split under all corruptions, and for pictures unlike those of the training.

    Attributes:
        clean: the answers without a corruption.
        cells: for each corruption, those of severity 1 to 5.
        hits: for each image, number of cells with a correct answer, int64 (n,).
        examples: for each corruption, one image of the split in severity 0 to 5, uint8 (6, 28, 28).
    """

    clean: Cell
    cells: Mapping[Corruption, Sequence[Cell]]
    hits: Hits
    examples: Mapping[Corruption, Images]
    detections: Sequence[Detection]

    @property
    def accuracy(self) -> float:
        """Mean corruption accuracy: that of all cells, each with the same weight."""
        return corruption_accuracy(self.hits)

    @property
    def interval(self) -> tuple[float, float]:
        """95 % interval of `accuracy` over the images, whose answers in different cells depend on each other."""
        low, high = mean_interval(self.hits / CELLS)
        return max(0.0, low), min(1.0, high)

    @property
    def relative(self) -> float:
        """Mean corruption accuracy, relative to the clean accuracy; 0 if no clean answer is right."""
        return self.accuracy / self.clean.accuracy if self.clean.right else 0.0

    def at(self, severity: int) -> Cell:
        """Return the mean over all corruptions in one severity, 0 (clean) to 5. Its `ece` is a mean, too."""
        if severity == 0:
            return self.clean
        column = [cells[severity - 1] for cells in self.cells.values()]
        return Cell(
            images=sum(cell.images for cell in column),
            right=sum(cell.right for cell in column),
            confidence=float(np.mean([cell.confidence for cell in column])),
            ece=float(np.mean([cell.ece for cell in column])),
        )


def corruption_accuracy(hits: Hits) -> float:
    """Return the mean corruption accuracy of hits int64 (n,), by one division: a figure on a limit meets it."""
    return int(hits.sum()) / (CELLS * len(hits))


def mean_interval(values: FloatArray, confidence: float = 0.95) -> tuple[float, float]:
    """Return the interval of the mean of values (n,), by the normal approximation of the central limit theorem."""
    half = NormalDist().inv_cdf((1 + confidence) / 2) * float(values.std()) / math.sqrt(len(values))
    return float(values.mean()) - half, float(values.mean()) + half


def scores(logits: npt.NDArray[np.float32]) -> dict[str, FloatArray]:
    """Return scores float64 (n,) of logits (n, classes), each higher for pictures like those of the training.

    Maximum probability: Hendrycks and Gimpel 2017, "A Baseline for Detecting Misclassified and Out-of-Distribution
    Examples in Neural Networks". Energy, with its sign turned: Liu et al. 2020, "Energy-based Out-of-distribution
    Detection", equation 4 with temperature 1. A model's logits are divided by its own temperature already.
    """
    return {
        "maximum probability": softmax(logits).max(axis=1).astype(np.float64),
        "energy": energies(logits),
    }


def energies(logits: npt.NDArray[np.float32]) -> FloatArray:
    """Return the energy of each row of logits (n, classes), with its sign turned: float64 (n,), as in `scores`."""
    exact = logits.astype(np.float64)
    highest = exact.max(axis=1)
    summed: FloatArray = highest + np.log(np.exp(exact - highest[:, np.newaxis]).sum(axis=1))
    return summed


def detect(
    inside: npt.NDArray[np.float32], val: npt.NDArray[np.float32], outside: Mapping[str, npt.NDArray[np.float32]]
) -> list[Detection]:
    """Tell articles from other pictures by each score. All arguments are logits (n, classes), n >= 1.

    Args:
        inside: of the measured split.
        val: of `val`, which chooses the thresholds.
        outside: of pictures unlike those of the training, by what they are.
    """
    articles = scores(inside)
    thresholds = {name: np.quantile(values, 1 - INSIDE) for name, values in scores(val).items()}
    return [
        Detection(name, score, auroc(articles[score], values), float((values >= thresholds[score]).mean()))
        for name, logits in outside.items()
        for score, values in scores(logits).items()
    ]


def auroc(higher: FloatArray, lower: FloatArray) -> float:
    """Return the probability that one of `higher` is above one of `lower`; equal values count half.

    Hanley and McNeil 1982, "The meaning and use of the area under a receiver operating characteristic (ROC) curve".
    """
    ordered = np.sort(lower)
    below = np.searchsorted(ordered, higher, "left") + np.searchsorted(ordered, higher, "right")
    return float(below.sum() / (2 * len(higher) * len(lower)))
