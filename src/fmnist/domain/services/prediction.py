"""Classifies images: decoding, normalization, the network, and class names."""

import time
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import Images, decode_images
from fmnist.domain.model.errors import InvalidSetting
from fmnist.domain.model.evaluation.metrics import Probabilities, softmax
from fmnist.domain.model.evaluation.report import SplitPredictions
from fmnist.domain.model.model import ModelInfo
from fmnist.ports.model_store import Classifier

_BATCH = 1000


@dataclass(frozen=True, slots=True)
class ClassPrediction:
    """One class for one image, with its probability in [0, 1]."""

    class_id: int
    class_name: str
    confidence: float


class Prediction:
    """Classifies images with one loaded classifier and its normalization. Safe to call from many threads."""

    def __init__(self, classifier: Classifier) -> None:
        self._classifier = classifier

    @property
    def info(self) -> ModelInfo:
        """Information of the model: architecture, normalization, class names, lineage and metrics."""
        return self._classifier.info

    def __call__(self, images: object) -> list[ClassPrediction]:
        """Return the most probable class of each image, in any layout of `decode_images`.

        Raises:
            InvalidImages: the message has the position of the first bad value.
        """
        return [best[0] for best in self.top_k(images, 1)]

    def top_k(self, images: object, k: int) -> list[list[ClassPrediction]]:
        """Return the `k` most probable classes of each image, best first; all classes if `k` is larger.

        Raises:
            InvalidSetting: `k` below 1.
            InvalidImages: the message has the position of the first bad value.
        """
        if k < 1:
            raise InvalidSetting(f"top_k must be at least 1, found {k}")
        return self.rank(self.probabilities(decode_images(images)), k)

    def rank(self, probabilities: Probabilities, k: int) -> list[list[ClassPrediction]]:
        """Return the `k` most probable classes for each row of probabilities float32 (n, classes), best first."""
        names = self.info.class_names
        ranked = np.argsort(-probabilities, axis=1, kind="stable")[:, :k]
        confidences = probabilities[np.arange(len(ranked))[:, np.newaxis], ranked]
        # Converted to Python numbers all at once: one by one, this takes longer than the network.
        return [
            [ClassPrediction(label, names[label], confidence) for label, confidence in zip(*row, strict=True)]
            for row in zip(ranked.tolist(), confidences.tolist(), strict=True)
        ]

    def probabilities(self, images: Images) -> Probabilities:
        """Return probabilities float32 (n, classes) for a uint8 batch (n, 28, 28), at most 1000 images at a time."""
        return softmax(self.logits(images))

    def logits(self, images: Images) -> npt.NDArray[np.float32]:
        """Return logits float32 (n, classes) for a uint8 batch (n, 28, 28), at most 1000 images at a time."""
        normalization = self.info.normalization
        if not len(images):
            return np.empty((0, len(self.info.class_names)), np.float32)
        pieces = [images[start : start + _BATCH] for start in range(0, len(images), _BATCH)]
        return np.concatenate([self._classifier.logits(normalization.apply(piece)) for piece in pieces])


def answer(classifier: Classifier, data: LabeledImages) -> SplitPredictions:
    """Classify all images of a split, in its order, and measure the time."""
    prediction, started = Prediction(classifier), time.perf_counter()
    logits = prediction.logits(data.images)
    return SplitPredictions(data.images, data.labels, logits, time.perf_counter() - started)
