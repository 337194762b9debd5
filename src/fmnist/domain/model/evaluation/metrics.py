"""How good a classifier is. All metrics are computed from labels and probabilities, or from their confusion matrix.

Averages follow the platform contract: micro for accuracy, macro for precision, recall and F1. A macro average is over
the classes that occur in the labels or the predictions. An undefined ratio is 0, as in scikit-learn and torchmetrics.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import CLASS_NAMES

Probabilities = npt.NDArray[np.float32]
Confusion = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]

_CALIBRATION_BINS = 15


def softmax(logits: npt.NDArray[np.float32]) -> Probabilities:
    """Turn logits (n, classes) into probabilities float32 (n, classes)."""
    shifted = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


def confusion_matrix(
    labels: npt.NDArray[Any], predicted: npt.NDArray[Any], classes: int = len(CLASS_NAMES)
) -> Confusion:
    """Count (true label, predicted label) pairs into an int64 matrix (classes, classes)."""
    pairs = labels.astype(np.int64) * classes + predicted.astype(np.int64)
    return np.bincount(pairs, minlength=classes * classes).reshape(classes, classes)


@dataclass(frozen=True, slots=True)
class PerClass:
    """Precision, recall and F1 of each class, float64 (classes,). `support` counts the class in the labels, int64."""

    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    support: Confusion

    @classmethod
    def of(cls, confusion: Confusion) -> Self:
        """Compute them from a confusion matrix; an undefined ratio is 0."""
        hits = np.diag(confusion)
        predicted, support = confusion.sum(axis=0), confusion.sum(axis=1)
        return cls(
            precision=_ratio(hits, predicted),
            recall=_ratio(hits, support),
            f1=_ratio(2 * hits, predicted + support),
            support=support,
        )


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Metrics of a classifier from one pass over a split.

    Attributes:
        loss: mean negative log likelihood of the true class, in nats.
        accuracy: share of correct answers, in [0, 1].
        precision, recall, f1: macro averages.
        ece: expected calibration error.
        confusion: int64 (classes, classes), rows are true labels.
    """

    loss: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    ece: float
    confusion: Confusion

    @classmethod
    def of(cls, labels: npt.NDArray[Any], probabilities: Probabilities) -> Self:
        """Evaluate probabilities float32 (n, classes) against labels (n,), n >= 1."""
        confusion = confusion_matrix(labels, probabilities.argmax(axis=1), probabilities.shape[1])
        summary = summarize(confusion)
        return cls(
            loss=log_loss(labels, probabilities),
            accuracy=summary["acc"],
            precision=summary["precision"],
            recall=summary["recall"],
            f1=summary["f1"],
            ece=expected_calibration_error(labels, probabilities),
            confusion=confusion,
        )

    def metrics(self, prefix: str, *, calibration: bool = False) -> dict[str, float]:
        """Return the metrics under the platform's names: `val_loss`, `val_acc`, ..., and `_ece` with `calibration`."""
        figures = {
            "loss": self.loss,
            "acc": self.accuracy,
            "precision": self.precision,
            "recall": self.recall,
            "f1": self.f1,
        }
        if calibration:
            figures["ece"] = self.ece
        return {f"{prefix}_{name}": value for name, value in figures.items()}


def summarize(confusion: Confusion) -> dict[str, float]:
    """Return `acc` (micro) and `precision`, `recall`, `f1` (macro) of a non-empty confusion matrix."""
    per_class = PerClass.of(confusion)
    occurs = (confusion.sum(axis=0) + confusion.sum(axis=1)) > 0
    return {
        "acc": float(np.trace(confusion) / confusion.sum()),
        "precision": float(per_class.precision[occurs].mean()),
        "recall": float(per_class.recall[occurs].mean()),
        "f1": float(per_class.f1[occurs].mean()),
    }


def log_loss(labels: npt.NDArray[Any], probabilities: Probabilities) -> float:
    """Mean negative log likelihood in nats. Probabilities below float32's machine epsilon count as that."""
    chosen = probabilities[np.arange(len(labels)), labels.astype(np.int64)].astype(np.float64)
    return float(np.negative(np.log(np.maximum(chosen, np.finfo(np.float32).eps))).mean())


def expected_calibration_error(labels: npt.NDArray[Any], probabilities: Probabilities) -> float:
    """Mean gap between confidence and accuracy in 15 bins of equal width, weighted by the size of the bin.

    Guo et al. 2017, "On Calibration of Modern Neural Networks", equation 3.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = (probabilities.argmax(axis=1) == labels).astype(np.float64)
    index, bins = confidence_bins(confidence)
    gaps = np.bincount(index, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(labels))


def confidence_bins(confidence: FloatArray) -> tuple[npt.NDArray[np.int64], int]:
    """Return the bin of each confidence (n,), and the number of bins: 15 of equal width, upper edges included."""
    bins = np.ceil(confidence * _CALIBRATION_BINS).astype(np.int64) - 1
    return np.clip(bins, 0, _CALIBRATION_BINS - 1), _CALIBRATION_BINS


def wilson_interval(successes: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Confidence interval of a proportion, such as an accuracy or a recall; (0, 1) without trials.

    Wilson 1927, "Probable Inference, the Law of Succession, and Statistical Inference".
    """
    if trials == 0:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / trials
    centre = share + z * z / (2 * trials)
    margin = z * math.sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials))
    scale = 1 + z * z / trials
    return max(0.0, (centre - margin) / scale), min(1.0, (centre + margin) / scale)


def _ratio(numerator: Confusion, denominator: Confusion) -> FloatArray:
    return np.divide(numerator, denominator, out=np.zeros(len(numerator)), where=denominator > 0)
