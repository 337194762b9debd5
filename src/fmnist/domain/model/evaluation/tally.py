"""Metrics of answers that come piece by piece. The memory does not grow with the number of answers."""

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.evaluation.calibration import Reliability
from fmnist.domain.model.evaluation.metrics import (
    Confusion,
    Evaluation,
    FloatArray,
    Probabilities,
    confusion_matrix,
    log_loss,
    summarize,
)
from fmnist.domain.model.evaluation.report import MISTAKES, most_confident_mistakes


@dataclass(frozen=True, slots=True)
class WrongAnswer:
    """A mistake without its image: the part and row of the image, true and predicted label, and the confidence."""

    part: str
    row: int
    truth: int
    answer: int
    confidence: float


@dataclass(slots=True)
class Tally:
    """Sums over labeled answers, from which the metrics follow.

    Attributes:
        images: answers so far.
        worst: the most confident mistakes so far, the most confident first; among equal ones, the first.
    """

    images: int = 0
    worst: list[WrongAnswer] = field(default_factory=list)
    _loss: float = 0.0
    _confusion: Confusion = field(default_factory=lambda: np.zeros((len(CLASS_NAMES), len(CLASS_NAMES)), np.int64))
    _bins: list[Reliability] = field(default_factory=list)

    def add(self, part: str, rows: npt.NDArray[np.int64], labels: Labels, probabilities: Probabilities) -> None:
        """Add rows (n,) of a part, with their labels (n,) and probabilities float32 (n, classes)."""
        if len(labels) == 0:
            return
        predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
        self.images += len(labels)
        self._loss += log_loss(labels, probabilities) * len(labels)
        self._confusion += confusion_matrix(labels, predicted, probabilities.shape[1])
        self._bins = [Reliability.joined([*self._bins, Reliability.of(labels, probabilities)])]
        found = [
            WrongAnswer(part, int(rows[at]), int(labels[at]), int(predicted[at]), float(confidence[at]))
            for at in most_confident_mistakes(labels, probabilities)
        ]
        self.worst = sorted([*self.worst, *found], key=lambda each: -each.confidence)[:MISTAKES]

    @property
    def reliability(self) -> Reliability:
        """The reliability of at least one answer."""
        return self._bins[0]

    @property
    def evaluation(self) -> Evaluation:
        """The metrics of at least one answer."""
        summary, bins = summarize(self._confusion), self.reliability
        gaps: FloatArray = bins.right - bins.count * bins.confidence
        return Evaluation(
            loss=self._loss / self.images,
            accuracy=summary["acc"],
            precision=summary["precision"],
            recall=summary["recall"],
            f1=summary["f1"],
            ece=float(np.abs(gaps).sum() / self.images),
            confusion=self._confusion.copy(),
        )
