"""Small data that a network can learn, made from a seed, for tests that do not need the real dataset."""

from dataclasses import replace
from typing import Any

import numpy as np

from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import CLASS_NAMES, SIDE
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.model import ModelInfo
from fmnist.domain.model.traffic.sketch import Sketch, features_of

_PATTERN_SEED = 20170825
_NOISE = 40


def toy_images(n: int, seed: int = 0) -> LabeledImages:
    """Return `n` noisy pictures whose classes are easy to separate; equal arguments give equal pictures.

    Labels repeat 0 to 9, so that the first 10 rows have every class. Each class is a coarse 7x7 pattern, the same for
    every seed. The seed only sets the noise.
    """
    patterns = np.random.default_rng(_PATTERN_SEED).integers(0, 2, (len(CLASS_NAMES), 7, 7)) * (255 - 2 * _NOISE)
    labels = np.arange(n, dtype=np.uint8) % len(CLASS_NAMES)
    clean = patterns.repeat(SIDE // 7, axis=1).repeat(SIDE // 7, axis=2)[labels]
    noise = np.random.default_rng(seed).integers(0, 2 * _NOISE, clean.shape)
    return LabeledImages((clean + noise).astype(np.uint8), labels)


def toy_splits(train: int = 40, val: int = 20, test: int = 20, seed: int = 0) -> dict[str, LabeledImages]:
    """Return splits of these sizes without common pictures. A size of 0 leaves the split out."""
    sizes = {"train": train, "val": val, "test": test}
    return {name: toy_images(n, seed * len(sizes) + place) for place, (name, n) in enumerate(sizes.items()) if n}


def toy_sketch(n: int = 30, seed: int = 0) -> Sketch:
    """Return a sketch of `n` toy images, which a model of their class means classifies."""
    images, means = toy_images(n, seed).images, toy_images(10).images
    logits = -np.square(images[:, np.newaxis] - means[np.newaxis].astype(np.float32)).mean(axis=(2, 3)) / 500
    return Sketch.of(features_of(images), logits)


def toy_info(**changes: Any) -> ModelInfo:
    """Return metadata of a model, with these fields changed."""
    info = ModelInfo(
        architecture="cnn",
        normalization=Normalization(mean=0.286, std=0.353),
        class_names=CLASS_NAMES,
        lineage={"dvc_data_version": "fashion-mnist-v1.0.0"},
        metrics={"val_acc": 0.9},
    )
    return replace(info, **changes)
