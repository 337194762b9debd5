"""The content of a model's report: how good the model is on a split, its mistakes, and its training.

It has only numbers and images. An adapter draws them.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.calibration import Calibration, Reliability
from fmnist.domain.model.evaluation.metrics import Evaluation, PerClass, Probabilities, softmax, wilson_interval
from fmnist.domain.model.evaluation.robustness import Robustness
from fmnist.domain.model.model import ModelInfo

REPEATED = (
    "A repeated training gives the same weights on the same kind of CPU, with the same data, seed, recipe, workers, "
    "cores and library versions. On a GPU the weights differ slightly: gradients of convolutions and of pooling are "
    "sums whose order varies, and compilation may choose other kernels. The order of the images is the same on "
    "any device. Augmentation is the same on the same model of GPU, and differs between GPU and CPU."
)
DEVICE_TAG = "device"
SECONDS_METRIC, SPEED_METRIC = "training_seconds", "training_images_per_second"
MISTAKES = 24
"""The most mistakes that a report shows."""
_OF_GPUS = {"precision", "compile", "gpu_per_worker"}


@dataclass(frozen=True, slots=True)
class SplitPredictions:
    """The predictions for a split, in the split's order.

    Attributes:
        images: uint8 (n, 28, 28), so that the split need not be read again.
        labels: uint8 (n,).
        logits: float32 (n, classes).
        seconds: time of the classification, without loading the classifier or reading the split.
    """

    images: Images
    labels: Labels
    logits: npt.NDArray[np.float32]
    seconds: float

    @property
    def probabilities(self) -> Probabilities:
        """The probabilities, float32 (n, classes)."""
        return softmax(self.logits)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """An image that was classified wrongly.

    Attributes:
        row: row of the image in the split, or in the file `part`.
        image: uint8 (28, 28).
        truth, answer: true and predicted label, 0-9.
        confidence: probability of the answer, in [0, 1].
        part: name of the image's file; None for a split.
    """

    row: int
    image: npt.NDArray[np.uint8]
    truth: int
    answer: int
    confidence: float
    part: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """Metrics of one class. Shares are in [0, 1], and intervals are 95 % Wilson intervals."""

    name: str
    images: int
    recall: float
    recall_interval: tuple[float, float]
    precision: float
    precision_interval: tuple[float, float]
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """Metrics and mistakes of a model from one pass over a split.

    Attributes:
        data_version, digest: version and digest of the data of the split.
        mistakes: the most confident mistakes; among equal ones, the first rows.
        images_per_second: speed of classification, without loading the model or reading the split.
    """

    split: str
    data_version: str
    digest: str
    evaluation: Evaluation
    reliability: Reliability
    mistakes: tuple[Mistake, ...]
    images_per_second: float

    @classmethod
    def of(cls, split: str, data_version: str, digest: str, answers: SplitPredictions) -> Self:
        """Measure a model's answers for the split of this data, n >= 1."""
        return cls(
            split=split,
            data_version=data_version,
            digest=digest,
            evaluation=Evaluation.of(answers.labels, answers.probabilities),
            reliability=Reliability.of(answers.labels, answers.probabilities),
            mistakes=_mistakes(answers),
            images_per_second=len(answers.labels) / max(answers.seconds, 1e-9),
        )

    @property
    def images(self) -> int:
        """How many images were classified."""
        return int(self.evaluation.confusion.sum())

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return wilson_interval(int(np.trace(self.evaluation.confusion)), self.images)

    def classes(self, names: Sequence[str]) -> list[ClassFigures]:
        """Return the metrics of each class, in the order of the labels."""
        confusion = self.evaluation.confusion
        figures, predicted = PerClass.of(confusion), confusion.sum(axis=0)
        return [
            ClassFigures(
                name=name,
                images=int(figures.support[label]),
                recall=float(figures.recall[label]),
                recall_interval=wilson_interval(hits := int(confusion[label, label]), int(figures.support[label])),
                precision=float(figures.precision[label]),
                precision_interval=wilson_interval(hits, int(predicted[label])),
                f1=float(figures.f1[label]),
            )
            for label, name in enumerate(names)
        ]

    def confusions(self, most: int) -> list[tuple[int, int, int]]:
        """Return the `most` most frequent mistakes as (truth, answer, count), without those that never happened."""
        wrong = self.evaluation.confusion.copy()
        np.fill_diagonal(wrong, 0)
        ranked = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = [divmod(int(index), len(wrong)) for index in ranked]
        return [(truth, answer, int(wrong[truth, answer])) for truth, answer in pairs if wrong[truth, answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStory:
    """The training of a model, as its run recorded it.

    Attributes:
        params: the run's parameters.
        history: metrics of each epoch, named as in `EPOCH_METRICS`; the index is the epoch.
        best_epoch: 0-based epoch whose weights the model has.
        seconds, images_per_second: time and training speed of all epochs; None if the run does not record them.
        device: `cpu` or the name of a GPU; None if the run does not record it.
    """

    params: Mapping[str, str]
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    seconds: float | None
    images_per_second: float | None
    device: str | None

    @property
    def heeded(self) -> Mapping[str, str]:
        """The parameters that had an effect: those for GPUs have none on a CPU."""
        return {name: value for name, value in self.params.items() if self.device != "cpu" or name not in _OF_GPUS}

    def speed(self) -> dict[str, float]:
        """Return the known speed figures as metrics of a run."""
        known = {SECONDS_METRIC: self.seconds, SPEED_METRIC: self.images_per_second}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """The content of the report page and the model card of one model.

    Attributes:
        measured: measurement on the split that the report is about.
        val: the run's own measurement on `val`, which chose the epoch; None if only one split was measured.
        calibration: effect of temperature scaling on `val`; None unless the model was just trained.
        story: training of the model; None if its run is unknown or has no epochs.
        source: source of the data, such as the registry's path or URL.
        counts: images of each split of the data version.
        robustness: measurement on corrupted images of the split; None unless it was asked for.
    """

    info: ModelInfo
    measured: Measurement
    val: Measurement | None = None
    calibration: Calibration | None = None
    story: TrainingStory | None
    source: str
    counts: Mapping[str, int]
    robustness: Robustness | None = None


RenderReport = Callable[[str, ModelReport], Mapping[str, bytes]]
"""Draws the report of the model at a URI. Returns the files by relative path, with `report.html`."""


def most_confident_mistakes(labels: Labels, probabilities: Probabilities) -> npt.NDArray[np.int64]:
    """Return the rows of at most `MISTAKES` mistakes: the most confident first; among equal ones, the first."""
    confidence = probabilities.max(axis=1)
    wrong = np.flatnonzero(probabilities.argmax(axis=1) != labels)
    return wrong[np.argsort(-confidence[wrong], kind="stable")][:MISTAKES]


def _mistakes(answers: SplitPredictions) -> tuple[Mistake, ...]:
    predicted, confidence = answers.probabilities.argmax(axis=1), answers.probabilities.max(axis=1)
    return tuple(
        Mistake(
            row=int(row),
            image=answers.images[row].copy(),  # a view would keep the whole split in memory
            truth=int(answers.labels[row]),
            answer=int(predicted[row]),
            confidence=float(confidence[row]),
        )
        for row in most_confident_mistakes(answers.labels, answers.probabilities)
    )
