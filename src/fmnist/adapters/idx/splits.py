"""Divides the official files into `train`, `val` and `test`. Every data version and benchmark uses this cut."""

from pathlib import Path

import numpy as np
import numpy.typing as npt

from fmnist.adapters.idx.files import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, read_labeled_images
from fmnist.domain.model.data.dataset import LabeledImages, Labels
from fmnist.domain.model.data.images import CLASS_NAMES
from fmnist.domain.model.errors import InvalidSetting

VAL_SIZE, SEED = 5000, 0
"""The cut of a new data registry."""


def read_splits(raw: Path, val_size: int = VAL_SIZE, seed: int = SEED) -> dict[str, LabeledImages]:
    """Return the splits of the official files in `raw`. `val` is a stratified part of the 60,000 training images.

    Raises:
        CorruptData: an official file is absent or damaged.
        InvalidSetting: `val_size` cannot be stratified.
    """
    data = read_labeled_images(raw / TRAIN_IMAGES.name, raw / TRAIN_LABELS.name)
    chosen = stratified_choice(data.labels, val_size, seed)
    return {
        "train": LabeledImages(data.images[~chosen], data.labels[~chosen]),
        "val": LabeledImages(data.images[chosen], data.labels[chosen]),
        "test": read_labeled_images(raw / TEST_IMAGES.name, raw / TEST_LABELS.name),
    }


def stratified_choice(labels: Labels, size: int, seed: int) -> npt.NDArray[np.bool_]:
    """Return a mask with `size` true rows, the same number for each class. The same seed gives the same mask.

    Raises:
        InvalidSetting: `size` does not divide by the number of classes, or leaves a class empty on either side.
    """
    each, rest = divmod(size, len(CLASS_NAMES))
    most = int(np.bincount(labels, minlength=len(CLASS_NAMES)).min()) - 1
    if rest or not 1 <= each <= most:
        raise InvalidSetting(
            f"val_size {size}: expected a multiple of {len(CLASS_NAMES)} from {len(CLASS_NAMES)} "
            f"to {most * len(CLASS_NAMES)}"
        )
    # numpy keeps the stream of RandomState stable, unlike newer generators: each release draws the same rows.
    random = np.random.RandomState(seed)
    chosen = np.zeros(len(labels), dtype=np.bool_)
    for label in range(len(CLASS_NAMES)):
        chosen[random.permutation(np.flatnonzero(labels == label))[:each]] = True
    return chosen
