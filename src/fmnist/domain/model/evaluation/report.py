"""What is told of a model to people: how good it is on a split, where it is wrong, and how it came about.

Only numbers and pictures are here; how they are drawn is an adapter's affair.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.images import Images
from fmnist.domain.model.evaluation.calibration import Calibration, Reliability
from fmnist.domain.model.evaluation.metrics import Evaluation, PerClass, Probabilities, wilson_interval
from fmnist.domain.model.model import ModelInfo

REPEATED = (
    "Training repeated on the same kind of CPU, with the same data, seed, recipe, workers, cores and versions of "
    "libraries, gives the same weights. On a GPU it does not quite: gradients of convolutions and of pooling are "
    "sums whose order varies, and compilation may choose other kernels. The order of the images is the same on "
    "any device; augmentation is the same on the same model of GPU, and different from a CPU's."
)
DEVICE_TAG = "device"
SECONDS_METRIC, SPEED_METRIC = "training_seconds", "training_images_per_second"
_MISTAKES = 24
_OF_GPUS = {"precision", "compile", "gpu_per_worker"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mistake:
    """An image that was answered wrongly.

    Attributes:
        row: of the split.
        image: uint8 (28, 28).
        truth, answer: labels.
        confidence: the probability of the answer.
    """

    row: int
    image: npt.NDArray[np.uint8]
    truth: int
    answer: int
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassFigures:
    """How well one class is told from the others; shares in [0, 1], intervals are Wilson's at 95 %."""

    name: str
    images: int
    recall: float
    recall_interval: tuple[float, float]
    precision: float
    precision_interval: tuple[float, float]
    f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurement:
    """What one pass over a split says of a model.

    Attributes:
        data_version, digest: which data the split is of.
        mistakes: the most confident ones, and of those the first.
        images_per_second: answered, without loading the model or reading the split.
    """

    split: str
    data_version: str
    digest: str
    evaluation: Evaluation
    reliability: Reliability
    mistakes: tuple[Mistake, ...]
    images_per_second: float

    @classmethod
    def of(
        cls,
        split: str,
        data_version: str,
        digest: str,
        images: Images,
        labels: Labels,
        probabilities: Probabilities,
        seconds: float,
    ) -> Self:
        """Sum up answers, float32 (n, classes) for images (n, 28, 28) with labels (n,), n >= 1."""
        return cls(
            split=split,
            data_version=data_version,
            digest=digest,
            evaluation=Evaluation.of(labels, probabilities),
            reliability=Reliability.of(labels, probabilities),
            mistakes=_most_confident_mistakes(images, labels, probabilities),
            images_per_second=len(labels) / max(seconds, 1e-9),
        )

    @property
    def images(self) -> int:
        """How many images were answered."""
        return int(self.evaluation.confusion.sum())

    @property
    def accuracy_interval(self) -> tuple[float, float]:
        """95 % Wilson interval of the accuracy."""
        return wilson_interval(int(np.trace(self.evaluation.confusion)), self.images)

    def classes(self, names: Sequence[str]) -> list[ClassFigures]:
        """Return the figures of each class, in the order of their labels."""
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
        """Return the commonest mistakes as (truth, answer, how often), at most so many, none that never happened."""
        wrong = self.evaluation.confusion.copy()
        np.fill_diagonal(wrong, 0)
        ranked = np.argsort(-wrong, axis=None, kind="stable")[:most]
        pairs = [divmod(int(index), len(wrong)) for index in ranked]
        return [(truth, answer, int(wrong[truth, answer])) for truth, answer in pairs if wrong[truth, answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingStory:
    """How a model came about, as its run tells it.

    Attributes:
        params: the run's parameters.
        history: metrics of each epoch, named as in `EPOCH_METRICS`, the index being the epoch.
        best_epoch: the index of the one whose weights the model has.
        seconds: spent in epochs, and `images_per_second` in them; None where the run does not say.
        device: that it was trained on: `cpu`, or a GPU's name; None where the run does not say.
    """

    params: Mapping[str, str]
    history: Sequence[Mapping[str, float]]
    best_epoch: int
    seconds: float | None
    images_per_second: float | None
    device: str | None

    @property
    def heeded(self) -> Mapping[str, str]:
        """The parameters that made a difference: a CPU takes no notice of those for GPUs."""
        return {name: value for name, value in self.params.items() if self.device != "cpu" or name not in _OF_GPUS}

    def speed(self) -> dict[str, float]:
        """Name the figures of speed that are known, as a run's metrics."""
        known = {SECONDS_METRIC: self.seconds, SPEED_METRIC: self.images_per_second}
        return {name: value for name, value in known.items() if value is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelReport:
    """All that a report page and a model card say of one model.

    Attributes:
        measured: on the split that the report is about.
        val: the run's own measurement on `val`, by which the epoch was chosen; None where only one split was measured.
        calibration: what temperature scaling did, judged on `val`; None where the model was not made just now.
        story: None when the model's run is unknown, or has no epochs.
        source: of the data, such as the registry's path or URL.
        counts: images of each split of the data version.
    """

    info: ModelInfo
    measured: Measurement
    val: Measurement | None
    calibration: Calibration | None
    story: TrainingStory | None
    source: str
    counts: Mapping[str, int]


RenderReport = Callable[[str, ModelReport], Mapping[str, bytes]]
"""Draws the report of the model of this URI: files by their relative paths, `report.html` among them."""


def _most_confident_mistakes(
    images: Images, labels: npt.NDArray[Any], probabilities: Probabilities
) -> tuple[Mistake, ...]:
    answers, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(answers != labels)
    worst = wrong[np.argsort(-confidence[wrong], kind="stable")][:_MISTAKES]
    return tuple(
        Mistake(
            row=int(row),
            image=images[row].copy(),  # a view would keep the whole split
            truth=int(labels[row]),
            answer=int(answers[row]),
            confidence=float(confidence[row]),
        )
        for row in worst
    )
