"""Which parts of an image speak for its class: an occlusion map, from the answers for partly covered copies.

Zeiler and Fergus 2014, "Visualizing and Understanding Convolutional Networks", section 4.2. It needs a classifier's
answers only, no gradients, and is deterministic.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.evaluation.metrics import Probabilities
from fmnist.domain.services.prediction import Prediction

# docs/explain.md has the measurements that chose these.
PATCH, _STRIDE, _NEAR = 4, 3, 7
_STARTS = range(0, SIDE - PATCH + 1, _STRIDE)
COPIES = len(_STARTS) ** 2


@dataclass(frozen=True, slots=True)
class Explanation:
    """What speaks for the class of one image.

    Attributes:
        class_id: the most probable class.
        confidence: its probability, in [0, 1].
        map: float32 (28, 28). How far that probability falls when a patch over this pixel is covered, as a mean of
            the patches over it, in [-1, 1]. Below 0, what is there speaks against the class.
        images: how many images the model answered.
    """

    class_id: int
    confidence: float
    map: npt.NDArray[np.float32]
    images: int

    @classmethod
    def of(cls, rows: Probabilities) -> Self:
        """Make it from the probabilities, float32 (1 + COPIES, classes), of the result of `covered_copies`."""
        class_id = int(rows[0].argmax())
        falls = rows[0, class_id] - rows[1:, class_id]
        patches = _patches()
        sums = np.tensordot(falls, patches, axes=1)
        return cls(class_id, float(rows[0, class_id]), (sums / patches.sum(axis=0)).astype(np.float32), len(rows))


def explain(prediction: Prediction, image: Images) -> Explanation:
    """Explain the answer for one image uint8 (28, 28)."""
    return Explanation.of(prediction.probabilities(covered_copies(image)))


def covered_copies(image: Images) -> Images:
    """Return an image uint8 (28, 28), and then a copy for each patch that is covered, uint8 (1 + COPIES, 28, 28).

    A patch is covered by the mean of each pixel's surroundings. It removes the details, but brings no new edge, as
    black would. Background far from the article stays as it is, and so cannot matter.
    """
    return np.concatenate([image[np.newaxis], np.where(_patches().astype(bool), surroundings(image), image)])


def surroundings(image: Images) -> Images:
    """Return for each pixel the rounded mean of the image's pixels at most 7 rows and columns away, uint8 (28, 28)."""
    near = (np.abs(np.subtract.outer(np.arange(SIDE), np.arange(SIDE))) <= _NEAR).astype(np.float64)
    near /= near.sum(axis=1, keepdims=True)
    means: Images = np.rint(near @ image @ near.T).astype(np.uint8)
    return means


def _patches() -> npt.NDArray[np.float32]:
    """Return 1 where each patch is, and 0 elsewhere: float32 (COPIES, 28, 28)."""
    at = np.arange(SIDE)
    lines = np.array([(start <= at) & (at < start + PATCH) for start in _STARTS], np.float32)
    patches = lines[:, np.newaxis, :, np.newaxis] * lines[np.newaxis, :, np.newaxis, :]
    return patches.reshape(COPIES, SIDE, SIDE)
