"""How the splits differ, beside what chance gives: the same figures after the images were dealt out again at random."""

import numpy as np

from fmnist.domain.model.audit.folds import Rows
from fmnist.domain.model.data.images import CLASS_NAMES, Images

_DEALS = 200


def differences(images: Images, labels: Rows, splits: Rows, nearest: Rows) -> dict[str, tuple[float, float, float]]:
    """Return figures of the splits (n,) of images (n, 28, 28): value, and the range of 95 % of random splits.

    The last one is the two-sample test of Schilling 1986, "Multivariate Two-Sample Tests Based on Nearest Neighbors":
    `nearest` has the row of each image's nearest neighbour.
    """
    brightness, sizes, classes = images.mean(axis=(1, 2)), np.bincount(splits), len(CLASS_NAMES)
    expected = np.outer(sizes, np.bincount(labels, minlength=classes)) / len(splits)

    def figures(dealt: Rows) -> list[float]:
        counts = np.bincount(dealt * classes + labels, minlength=expected.size).reshape(expected.shape)
        means = np.bincount(dealt, weights=brightness) / np.maximum(sizes, 1)
        return [
            ((counts - expected) ** 2 / np.maximum(expected, 1e-9)).sum(),
            np.abs(means - brightness.mean())[sizes > 0].max(),
            (dealt[nearest] == dealt).mean(),
        ]

    chance = np.random.default_rng(0)
    low, high = np.quantile([figures(chance.permutation(splits)) for _ in range(_DEALS)], (0.025, 0.975), axis=0)
    names = (
        "class counts, chi-square",
        "largest difference of a split's mean pixel, in grey levels",
        "share of images whose nearest image is in the same split",
    )
    return {
        name: (float(a), float(b), float(c)) for name, a, b, c in zip(names, figures(splits), low, high, strict=True)
    }
