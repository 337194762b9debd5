"""Which images look alike. A coarse comparison of all images finds candidates, and a fine one compares their details.

The coarse one moves each image to the centre of its mass, halves its size and removes its brightness and contrast. So
it finds shifted and brightened copies, but also other articles of the same cut. The fine one compares edges and texture
where both images overlap, which other articles do not share.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.audit.folds import Rows
from fmnist.domain.model.data.images import SIDE, Images

Floats = npt.NDArray[np.float32]

NEIGHBOURS = 8
NEAR = 0.97
"""Images whose fine similarity is at least this count as near duplicates. The report shows pairs around it."""
SHOWN = 0.93
"""The lowest fine similarity of the pairs that are kept."""

_CANDIDATE = 0.9  # coarse similarity
_BLOCK = 256  # rows whose similarities to all are in memory: 70 MB for 70,000 images
_PIXELS = np.arange(SIDE, dtype=np.float32)
_INSIDE = (_PIXELS >= 1) & (_PIXELS < SIDE - 1)  # the details of an edge pixel depend on what is beyond the edge
_SMALL = np.float32(1e-6)


@dataclass(frozen=True, slots=True)
class Lookalikes:
    """The neighbours of n images, and the pairs that are most alike.

    Attributes:
        nearest: row of the nearest other image by the coarse similarity, int64 (n,).
        isolation: coarse distance in [0, 2] to the `NEIGHBOURS`-th neighbour, float32 (n,).
        pairs: rows of two images, the lower row first, int64 (m, 2), the most similar pair first.
        similarity: fine similarity of each pair in [`SHOWN`, 1], float32 (m,).
    """

    nearest: Rows
    isolation: Floats
    pairs: Rows
    similarity: Floats

    @classmethod
    def of(cls, images: Images, on_share: Callable[[float], object] = lambda _: None) -> "Lookalikes":
        """Compare all pairs of n >= 2 images. `on_share` gets the share that is done."""
        coarse = np.concatenate([_coarse(images[start : start + _BLOCK]) for start in range(0, len(images), _BLOCK)])
        size, most = len(images), min(NEIGHBOURS, len(images) - 1)
        neighbours, alike = np.empty((size, most), np.int64), np.empty((size, most), np.float32)
        for start in range(0, size, _BLOCK):
            block = coarse[start : start + _BLOCK] @ coarse.T
            rows = np.arange(len(block))
            block[rows, start + rows] = -2  # an image is not its own neighbour
            found = np.argpartition(block, size - most, axis=1)[:, size - most :]
            values = np.take_along_axis(block, found, axis=1)
            order = np.argsort(-values, axis=1, kind="stable")
            neighbours[start + rows] = np.take_along_axis(found, order, axis=1)
            alike[start + rows] = np.take_along_axis(values, order, axis=1)
            on_share(0.8 * (start + len(block)) / size)
        row, place = np.nonzero(alike >= _CANDIDATE)
        pairs = np.unique(np.sort(np.stack([row, neighbours[row, place]], axis=1), axis=1), axis=0)
        similarity = np.empty(len(pairs), np.float32)
        for start in range(0, len(pairs), _BLOCK):
            left, right = pairs[start : start + _BLOCK].T
            similarity[start : start + _BLOCK] = fine_similarity(images[left], images[right])
            on_share(0.8 + 0.2 * start / len(pairs))
        kept = np.argsort(-similarity, kind="stable")[: np.count_nonzero(similarity >= SHOWN)]
        return cls(neighbours[:, 0], 1 - alike[:, -1], pairs[kept], similarity[kept])


def fine_similarity(left: Images, right: Images) -> Floats:
    """Return the correlation of details of each left image (n, 28, 28) with the right one, float32 (n,) in [-1, 1].

    It is the best over the shift between their centres, and one pixel around it. A flat image is like none.
    """
    details, others = _details(left), _details(right)
    offsets = [np.rint(b - a).astype(np.int64) for a, b in zip(_centres(left), _centres(right), strict=True)]
    best = np.full(len(left), -1, np.float32)
    for moves in product((-1, 0, 1), repeat=2):
        places = [np.arange(SIDE) + offset[:, np.newaxis] + move for offset, move in zip(offsets, moves, strict=True)]
        inside = [_INSIDE & (place >= 1) & (place < SIDE - 1) for place in places]
        overlap = inside[0][:, :, np.newaxis] & inside[1][:, np.newaxis, :]
        y, x = (np.clip(place, 0, SIDE - 1) for place in places)
        moved = others[np.arange(len(left))[:, np.newaxis, np.newaxis], y[:, :, np.newaxis], x[:, np.newaxis, :]]
        a, b = details * overlap, moved * overlap
        scale = np.sqrt((a * a).sum(axis=(1, 2)) * (b * b).sum(axis=(1, 2)))
        best = np.maximum(best, (a * b).sum(axis=(1, 2)) / np.maximum(scale, _SMALL))
    return best


def _coarse(images: Images) -> Floats:
    """Return the direction of each image in the space of small, centred images, float32 (n, 196)."""
    pixels = images.astype(np.float32)
    down, across = (_halving(centre - (SIDE - 1) / 2) for centre in _centres(images))
    small = (down @ pixels @ across.transpose(0, 2, 1)).reshape(len(images), -1)
    small -= small.mean(axis=1, keepdims=True)
    return np.asarray(small / np.maximum(np.linalg.norm(small, axis=1, keepdims=True), _SMALL), np.float32)


def _halving(offsets: Floats) -> Floats:
    """Return matrices (n, 14, 28) that move an axis by offsets (n,), by linear interpolation, and halve it."""
    distance = np.abs(_PIXELS - (_PIXELS[:, np.newaxis] + offsets[:, np.newaxis, np.newaxis]))
    return np.asarray(np.maximum(0, 1 - distance).reshape(len(offsets), SIDE // 2, 2, SIDE).mean(axis=2), np.float32)


def _centres(images: Images) -> tuple[Floats, Floats]:
    """Return row and column of the centre of mass of each image, float32 (n,)."""
    mass = np.maximum(images.sum(axis=(1, 2), dtype=np.float32), 1)
    row, column = (images.sum(axis=axis, dtype=np.float32) @ _PIXELS / mass for axis in (2, 1))
    return row, column


def _details(images: Images) -> Floats:
    """Return what remains of each image without the mean of the 3x3 pixels around each pixel, float32 (n, 28, 28)."""
    pixels = images.astype(np.float32)
    padded = np.pad(pixels, ((0, 0), (1, 1), (1, 1)))
    around = sum(padded[:, y : y + SIDE, x : x + SIDE] for y, x in product(range(3), repeat=2))
    return np.asarray(pixels - np.asarray(around) / 9, np.float32)
