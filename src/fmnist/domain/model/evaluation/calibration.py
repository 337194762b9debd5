"""How well a classifier's confidence matches its accuracy, and temperature scaling, which corrects it by one number.

Temperature scaling never changes the predicted class, only its confidence. Sources: Guo et al. 2017, "On
Calibration of Modern Neural Networks", sections 2 (reliability diagrams) and 4.2 (temperature scaling).
"""

import math
from collections.abc import Sequence
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

# A fit outside these bounds means that the split is too small or too easy.
_COLDEST, _HOTTEST = 0.25, 4.0
_HALVINGS = 40
_SEED = 20170825


@dataclass(frozen=True, slots=True)
class Reliability:
    """The numbers of a reliability diagram, in bins of equal width over confidence. An empty bin has zeros.

    Attributes:
        count: images in each bin, int64 (bins,).
        right: correct answers in each bin, int64 (bins,).
        confidence: mean confidence in each bin, float64 (bins,).
    """

    count: Confusion
    right: Confusion
    confidence: FloatArray

    @classmethod
    def of(cls, labels: npt.NDArray[Any], probabilities: Probabilities) -> Self:
        """Sort probabilities float32 (n, classes) for labels (n,) into the bins of `expected_calibration_error`."""
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

    @classmethod
    def joined(cls, pieces: Sequence[Self]) -> Self:
        """Return the bins of all answers, from those of at least one piece."""
        count: Confusion = np.sum([piece.count for piece in pieces], axis=0)
        right: Confusion = np.sum([piece.right for piece in pieces], axis=0)
        total: FloatArray = np.sum([piece.count * piece.confidence for piece in pieces], axis=0)
        return cls(count, right, np.divide(total, count, out=np.zeros(len(count)), where=count > 0))

    @property
    def accuracy(self) -> FloatArray:
        """Share of correct answers in each bin, float64 (bins,)."""
        return np.divide(self.right, self.count, out=np.zeros(len(self.count)), where=self.count > 0)

    def intervals(self) -> FloatArray:
        """95 % Wilson intervals of `accuracy`, float64 (bins, 2)."""
        return np.array(
            [wilson_interval(int(right), int(count)) for right, count in zip(self.right, self.count, strict=True)]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """The effect of temperature scaling, measured on images that the temperature was not fitted to.

    Attributes:
        temperature: fitted to the whole split; logits are divided by it.
        loss, ece: log loss in nats and calibration error without scaling.
        scaled_loss, scaled_ece: the same with scaling; each half of the split uses the other half's temperature.
    """

    temperature: float
    loss: float
    ece: float
    scaled_loss: float
    scaled_ece: float

    @classmethod
    def of(cls, labels: npt.NDArray[Any], probabilities: Probabilities) -> Self:
        """Fit and measure scaling on probabilities float32 (n, classes) for labels (n,), n >= 1."""
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
        """Whether scaling lowers the loss. The calibration error does not decide: it is noisy, and no proper score."""
        return self.scaled_loss < self.loss

    @property
    def applied(self) -> float:
        """The temperature to use: the fitted one if it helps, else 1, which changes nothing."""
        return self.temperature if self.helps else 1.0


def tempered(probabilities: Probabilities, temperature: float) -> Probabilities:
    """Return the probabilities float32 (n, classes) of the same logits divided by `temperature` > 0."""
    if temperature == 1:
        return probabilities
    return softmax(_logits(probabilities) / np.float32(temperature))


def fit_temperature(labels: npt.NDArray[Any], probabilities: Probabilities) -> float:
    """Return the temperature in [0.25, 4] with the lowest log loss for these answers; 1 without answers.

    The loss is convex in the reciprocal of the temperature, so bisection finds where its slope is 0.
    """
    if len(labels) == 0:
        return 1.0
    logits = _logits(probabilities).astype(np.float64)
    true = logits[np.arange(len(labels)), labels.astype(np.int64)].mean()
    low, high = math.log(_COLDEST), math.log(_HOTTEST)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        weights = np.exp(logits / math.exp(middle))  # at most 1, because no logit is above 0
        expected = float(((weights * logits).sum(axis=1) / weights.sum(axis=1)).mean())
        # The classifier is too confident on average, so the temperature has to be higher.
        low, high = (middle, high) if expected > true else (low, middle)
    return math.exp((low + high) / 2)


def _logits(probabilities: Probabilities) -> Probabilities:
    """Return logits of these probabilities. Any constant could be added to those of an image."""
    return np.log(np.maximum(probabilities, np.finfo(np.float32).tiny))
