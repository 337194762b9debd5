"""Measures a model on corrupted images of a split, and on pictures unlike those of the training."""

from collections.abc import Callable, Iterator

import numpy as np

from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.evaluation.metrics import softmax
from fmnist.domain.model.evaluation.robustness import SEVERITIES, Cell, Corrupt, Corruption, Hits, Robustness, detect
from fmnist.domain.services.prediction import Prediction
from fmnist.ports.model_store import Classifier

_SEED = 20170825
_NOISE_PICTURES = 5_000

OnCell = Callable[[int, int], object]
"""Hears how many cells of the grid are done, and how many there are."""


def measure_robustness(
    classifier: Classifier, data: LabeledImages, val: Images, corrupt: Corrupt, on_cell: OnCell
) -> Robustness:
    """Classify a split under all corruptions, and other pictures. `val` chooses the threshold that these must pass."""
    prediction = Prediction(classifier)
    clean = prediction.logits(data.images)
    cells: dict[Corruption, list[Cell]] = {corruption: [] for corruption in Corruption}
    hits = np.zeros(len(data), np.int64)
    for corruption, cell, right in _grid(prediction, data, corrupt, on_cell):
        cells[corruption].append(cell)
        hits += right
    noise = np.random.default_rng(_SEED).integers(0, 256, (_NOISE_PICTURES, SIDE, SIDE), np.uint8)
    outside = {"noise": noise, "inverted pictures": 255 - data.images}
    return Robustness(
        clean=Cell.of(data.labels, softmax(clean)),
        cells=cells,
        hits=hits,
        examples={
            corruption: np.stack([corrupt(data.images[:1], corruption, severity)[0] for severity in (0, *SEVERITIES)])
            for corruption in Corruption
        },
        detections=detect(
            clean,
            prediction.logits(val),
            {name: prediction.logits(pictures) for name, pictures in outside.items()},
        ),
    )


def corruption_hits(classifier: Classifier, data: LabeledImages, corrupt: Corrupt) -> Hits:
    """Return, for each image of a split, the number of cells with a right answer, int64 (n,)."""
    found = [right for _, _, right in _grid(Prediction(classifier), data, corrupt, lambda *_: None)]
    return np.asarray(np.sum(found, axis=0, dtype=np.int64))


def _grid(
    prediction: Prediction, data: LabeledImages, corrupt: Corrupt, on_cell: OnCell
) -> Iterator[tuple[Corruption, Cell, np.ndarray[tuple[int], np.dtype[np.bool_]]]]:
    """Yield each cell with its corruption, and whether each answer is right, bool (n,)."""
    grid = [(corruption, severity) for corruption in Corruption for severity in SEVERITIES]
    for done, (corruption, severity) in enumerate(grid):
        on_cell(done, len(grid))
        probabilities = prediction.probabilities(corrupt(data.images, corruption, severity))
        yield corruption, Cell.of(data.labels, probabilities), probabilities.argmax(axis=1) == data.labels
