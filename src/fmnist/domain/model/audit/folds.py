"""Exact duplicates, and the folds of an audit: no model may predict an image that it was trained on."""

from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import Images
from fmnist.domain.model.errors import InvalidSetting

Rows = npt.NDArray[np.int64]


def first_equal(images: Images) -> Rows:
    """Return for each image the row of the first image with the same pixels, int64 (n,)."""
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(image.tobytes(), row) for row, image in enumerate(images)], dtype=np.int64)


def folds_of(first: Rows, strata: npt.NDArray[Any], count: int) -> Rows:
    """Return the fold of each image, int64 (n,) in 0..count-1. The same input always gives the same folds.

    Equal images share a fold. Each stratum is spread evenly over the folds.

    Args:
        first: result of `first_equal`.
        strata: integers (n,), such as the class in its split. Equal images count for that of the first.

    Raises:
        InvalidSetting: there are fewer different images than folds.
    """
    shuffled = np.random.default_rng(0).permutation(np.unique(first))
    if len(shuffled) < count:
        raise InvalidSetting(f"an audit needs at least {count} different images, found {len(shuffled)}")
    ordered = shuffled[np.argsort(strata[shuffled], kind="stable")]
    fold = np.zeros(len(first), dtype=np.int64)
    fold[ordered] = np.arange(len(ordered)) % count
    return fold[first]
