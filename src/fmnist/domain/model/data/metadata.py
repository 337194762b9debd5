"""The content of `metadata.json`: its computation from the splits, and the check of a split against it.

The platform contract defines the format. A reader of an older version may rely only on the fields that it has.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from fmnist.domain.model.data.dataset import SPLITS, LabeledImages
from fmnist.domain.model.data.images import CLASS_NAMES, PIXELS, SIDE, Images
from fmnist.domain.model.errors import CorruptData


def describe(splits: Mapping[str, LabeledImages]) -> dict[str, Any]:
    """Return the metadata of these splits, ready to be written as JSON."""
    classes = {str(label): name for label, name in enumerate(CLASS_NAMES)}
    return {
        "dataset": {
            "name": "Fashion-MNIST",
            "description": "28x28 grey pictures of ten kinds of fashion articles",
            "source": "https://github.com/zalandoresearch/fashion-mnist",
        },
        "schema": {
            "features": {
                "image": {"dtype": "uint8", "shape": [SIDE, SIDE]},
                "label": {"dtype": "uint8", "shape": [], "classes": classes},
            }
        },
        "splits": {name: describe_split(data) for name, data in splits.items()},
        "metrics": {name: pixel_statistics(data.images) for name, data in splits.items()},
    }


def describe_split(data: LabeledImages) -> dict[str, Any]:
    """Return the number of images of a split, in total and for each class."""
    counts = np.bincount(data.labels, minlength=len(CLASS_NAMES))
    return {
        "num_samples": len(data),
        "num_features": PIXELS,
        "class_distribution": {name: int(count) for name, count in zip(CLASS_NAMES, counts, strict=True)},
    }


def pixel_statistics(images: Images) -> dict[str, float]:
    """Return mean, population standard deviation, minimum, maximum and median of all pixels, in [0, 1] units."""
    # A histogram of 256 bins gives exact results, and avoids a float copy of every pixel.
    counts = np.bincount(images.reshape(-1), minlength=256)
    values = np.arange(256) / 255
    mean = float(np.average(values, weights=counts))
    seen = np.flatnonzero(counts)
    below = np.cumsum(counts)
    middle = np.searchsorted(below, [(images.size - 1) // 2, images.size // 2], side="right")
    return {
        "pixel_mean": mean,
        "pixel_std": float(np.sqrt(np.average((values - mean) ** 2, weights=counts))),
        "pixel_min": float(values[seen[0]]),
        "pixel_max": float(values[seen[-1]]),
        "pixel_median": float(values[middle].mean()),
    }


def split_sizes(metadata: Mapping[str, Any]) -> dict[str, int]:
    """Return how many images the metadata gives for train, val and test. A split without a number is left out."""
    described = metadata.get("splits")
    entries = described if isinstance(described, Mapping) else {}
    return {
        split: entry["num_samples"]
        for split in SPLITS
        if isinstance(entry := entries.get(split), Mapping) and isinstance(entry.get("num_samples"), int)
    }


def check_split(metadata: Mapping[str, Any], split: str, data: LabeledImages) -> None:
    """Check a split that was read against the metadata.

    Raises:
        CorruptData: the metadata does not describe the split, or gives other counts than the split has.
    """
    found = describe_split(data)
    try:
        promised = metadata["splits"][split]
        expected = {name: promised[name] for name in ("num_samples", "class_distribution")}
    except (KeyError, TypeError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else str(error)
        raise CorruptData(f"metadata does not describe split {split!r}: {reason}") from error
    for name, value in expected.items():
        if found[name] != value:
            raise CorruptData(f"split {split!r}: metadata promises {name} {value}, found {found[name]}")
