"""Splits that were dealt at random are within what chance gives, and others are not."""

import numpy as np

from fmnist.domain.model.audit.differences import differences

CLASSES, SIZE = 10, 1000


def inside(found: dict[str, tuple[float, float, float]]) -> list[bool]:
    return [low <= value <= high for value, low, high in found.values()]


def test_random_splits_do_not_differ() -> None:
    noise = np.random.default_rng(3)
    images = noise.integers(0, 256, (SIZE, 28, 28)).astype(np.uint8)
    labels, splits = noise.integers(0, CLASSES, SIZE), noise.integers(0, 3, SIZE)
    assert inside(differences(images, labels, splits, noise.integers(0, SIZE, SIZE))) == [True] * 3


def test_splits_of_other_classes_brightness_and_neighbours_differ() -> None:
    noise = np.random.default_rng(3)
    splits = np.arange(SIZE) % 2
    images = noise.integers(0, 200, (SIZE, 28, 28)).astype(np.uint8) + (splits * 20).astype(np.uint8)[:, None, None]
    labels = np.where(splits == 1, noise.integers(0, 5, SIZE), noise.integers(0, CLASSES, SIZE))
    found = differences(images, labels, splits, (np.arange(SIZE) + 2) % SIZE)
    assert inside(found) == [False] * 3
    assert found["share of images whose nearest image is in the same split"][0] == 1.0
