"""The simplest classifier that learns: one mean image for each class. It replaces a network where there is no torch."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS
from fmnist.domain.model.errors import CorruptModel
from fmnist.domain.model.model import ModelInfo
from fmnist.ports.model_store import Classifier

Means = npt.NDArray[np.float32]


class MeanClassifier(Classifier):
    """A logit is minus the squared distance of a normalized image to a class mean, divided by the temperature.

    Class means are float32 (classes, 784).
    """

    def __init__(self, means: Means, info: ModelInfo, temperature: float = 1.0) -> None:
        self._means = means
        self._info = info
        self._temperature = temperature

    @property
    def info(self) -> ModelInfo:
        return self._info

    def logits(self, inputs: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        images = inputs.reshape(len(inputs), PIXELS)
        distances = np.stack([np.square(images - mean).sum(axis=1) for mean in self._means], axis=1)
        return np.asarray(-distances / self._temperature, dtype=np.float32)


def save_means(path: str | Path, means: Means) -> None:
    """Write class means of normalized images, float32 (classes, 784), as the weights file of a `TrainedWeights`."""
    with Path(path).open("wb") as file:
        np.savez(file, means=np.asarray(means, dtype=np.float32))


def load_means(path: str | Path) -> Means:
    """Read class means back.

    Raises:
        CorruptModel: the file does not exist, or does not hold class means.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            means = np.asarray(arrays["means"], dtype=np.float32)
    except (OSError, ValueError, KeyError, EOFError, TypeError) as error:
        raise CorruptModel(f"{path} does not hold class means: {error}") from error
    if means.shape != (len(CLASS_NAMES), PIXELS):
        raise CorruptModel(f"{path} holds means of shape {means.shape}, expected {(len(CLASS_NAMES), PIXELS)}")
    return means
