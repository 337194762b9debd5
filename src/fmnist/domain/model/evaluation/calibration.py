"""How far a classifier's confidence can be taken at its word, and the one number that mends most of what is off.

Temperature scaling never changes an answer, only how sure of it the classifier is. Sources: Guo et al. 2017, "On
Calibration of Modern Neural Networks", sections 2 (reliability diagrams) and 4.2 (temperature scaling).
"""

import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.evaluation.metrics import (
    Confusion,
    FloatArray,
    Probabilities,
    confidence_bins,
    expected_calibration_error,
    log_loss,
    softmax,
    wilson_interval,
)

# Beyond these a split is too small or too easy to tell a temperature.
_COLDEST, _HOTTEST = 0.25, 4.0
_HALVINGS = 40
_SEED = 20170825


@dataclass(frozen=True, slots=True)
class Reliability:
    """A reliability diagram's numbers, by bins of equal width over confidence; an empty bin has 0 everywhere.

    Attributes:
        count: images in each bin, int64 (bins,).
        right: those of them that were answered rightly, int64 (bins,).
        confidence: their mean confidence, float64 (bins,).
    """

    count: Confusion
    right: Confusion
    confidence: FloatArray

    @classmethod
    def of(cls, labels: npt.NDArray[Any], probabilities: Probabilities) -> Self:
        """Sort answers, float32 (n, classes) for labels (n,), into the bins of `expected_calibration_error`."""
        confidence = probabilities.max(axis=1).astype(np.float64)
        index, bins = confidence_bins(confidence)
        right = probabilities.argmax(axis=1) == labels
        count = np.bincount(index, minlength=bins)
        total = np.bincount(index, weights=confidence, minlength=bins)
        return cls(
            count=count,
            right=np.bincount(index[right], minlength=bins),
            confidence=np.divide(total, count, out=np.zeros(bins), where=count > 0),
        )

    @property
    def accuracy(self) -> FloatArray:
        """Share of right answers in each bin."""
        return np.divide(self.right, self.count, out=np.zeros(len(self.count)), where=self.count > 0)

    def intervals(self) -> FloatArray:
        """95 % Wilson intervals of `accuracy`, float64 (bins, 2)."""
        return np.array(
            [wilson_interval(int(right), int(count)) for right, count in zip(self.right, self.count, strict=True)]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """What temperature scaling does to a classifier, judged on images that its temperature was not fitted to.

    Attributes:
        temperature: fitted to the whole split; logits are divided by it.
        loss, ece: of the classifier as it is.
        scaled_loss, scaled_ece: each half of the split scaled by the temperature of the other half.
    """

    temperature: float
    loss: float
    ece: float
    scaled_loss: float
    scaled_ece: float

    @classmethod
    def of(cls, labels: npt.NDArray[Any], probabilities: Probabilities) -> Self:
        """Fit and judge it on answers, float32 (n, classes) for labels (n,), n >= 1."""
        shuffled = np.random.default_rng(_SEED).permutation(len(labels))
        first, second = shuffled[: len(labels) // 2], shuffled[len(labels) // 2 :]
        scaled = probabilities.copy()
        for fitted, judged in ((first, second), (second, first)):
            scaled[judged] = tempered(probabilities[judged], fit_temperature(labels[fitted], probabilities[fitted]))
        return cls(
            temperature=fit_temperature(labels, probabilities),
            loss=log_loss(labels, probabilities),
            ece=expected_calibration_error(labels, probabilities),
            scaled_loss=log_loss(labels, scaled),
            scaled_ece=expected_calibration_error(labels, scaled),
        )

    @property
    def helps(self) -> bool:
        """Whether scaling lowers the loss. Not the calibration error, which is no proper score: noise moves it."""
        return self.scaled_loss < self.loss

    @property
    def applied(self) -> float:
        """The temperature to use: the fitted one where it helps, else 1, which changes nothing."""
        return self.temperature if self.helps else 1.0


def tempered(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return the probabilities, float32 (n, classes), that the same logits give when divided by `temperature` > 0."""
    if temperature == 1:
        return probabilities
    return softmax(_logits(probabilities) / np.float32(temperature))


def fit_temperature(labels: npt.NDArray[Any], probabilities: Probabilities) -> float:
    """Return the temperature in [0.25, 4] at which the log loss of these answers is lowest; 1 for none.

    The loss is convex in the temperature's reciprocal, so that its slope is halved down to where it is 0.
    """
    if len(labels) == 0:
        return 1.0
    logits = _logits(probabilities).astype(np.float64)
    true = logits[np.arange(len(labels)), labels.astype(np.int64)].mean()
    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        weights = np.exp(logits / math.exp(middle))  # at most 1, for the largest logit is 0 or less
        expected = float(((weights * logits).sum(axis=1) / weights.sum(axis=1)).mean())
        # Too sure of itself on average: it has to be hotter.
        low, high = (middle, high) if expected > true else (low, middle)
    return math.exp((low + high) / 2)


def _logits(probabilities: Probabilities) -> Probabilities:
    """Logits of these probabilities, one set of the many that differ by a constant for each image."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
