"""Rows of input files on their way to a model: the parts of an input, and consecutive rows of a part."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import Labels
from fmnist.domain.model.data.images import CLASS_NAMES, SIDE, Images
from fmnist.domain.model.errors import InvalidImages

MOST_ROWS = 1000
"""The most rows that a source gives at a time."""
MOST_PICTURES = 10_000
"""The most pictures of a part."""


@dataclass(frozen=True, slots=True)
class InputPart:
    """One input file, or up to `MOST_PICTURES` pictures of a folder.

    Attributes:
        name: relative path below the common root of the inputs, with `/`; no other part has it.
        uri: path or `s3://` URI of the file, or of the folder of the pictures.
        fingerprint: changes when the content changes.
        pictures: names of the pictures within the folder, in order; empty for a file.
        rows: number of rows, if it is known without reading the file.
    """

    name: str
    uri: str
    fingerprint: str
    pictures: tuple[str, ...] = ()
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class UnreadableRow:
    """A row without an image, or with a wrong label: its position as in `ImageRows.rows`, its path, and the reason."""

    row: int
    path: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class ImageRows:
    """Consecutive rows of a part: those that were read, in order, and those that are unreadable. Either may be empty.

    Attributes:
        images: uint8 (n, 28, 28). They may share memory with the source, so do not write to them.
        rows: int64 (n,), 0-based positions in the part's file, or in `InputPart.pictures`.
        paths: where the input has paths: those of pictures below the part's folder, or of Hugging Face's `image.path`.
        labels: uint8 (n,), 0-9, where the input has labels.
        ids: further columns of the input by name. Each has n values of type str, int, np.uint64, float, bytes or None.
        unreadable: the rows between them that could not be read.
    """

    images: Images
    rows: npt.NDArray[np.int64]
    paths: tuple[str | None, ...] | None = None
    labels: Labels | None = None
    ids: Mapping[str, tuple[object, ...]] = field(default_factory=dict)
    unreadable: tuple[UnreadableRow, ...] = ()

    def __len__(self) -> int:
        return len(self.rows)


def divide_rows(
    start: int,
    images: Images,
    faults: dict[int, str],
    labels: npt.NDArray[Any] | None = None,
    paths: Sequence[str | None] | None = None,
    ids: Mapping[str, Sequence[object]] | None = None,
) -> ImageRows:
    """Return consecutive rows, numbered from `start`, of which those in `faults` are unreadable.

    `faults` has a reason by position, and `images` any value there. Rows whose label is not 0-9 become faults.
    """
    if labels is not None:
        for row in np.flatnonzero((labels < 0) | (labels >= len(CLASS_NAMES))).tolist():
            faults.setdefault(row, f"label {labels[row]}: expected 0-{len(CLASS_NAMES) - 1}")
    kept = np.setdiff1d(np.arange(len(images)), list(faults))
    places: list[int] = kept.tolist()
    return ImageRows(
        images=images[kept] if faults else images,
        rows=kept + start,
        paths=None if paths is None else tuple(paths[row] for row in places),
        labels=None if labels is None else labels[kept].astype(np.uint8),
        ids={name: tuple(values[row] for row in places) for name, values in (ids or {}).items()},
        unreadable=tuple(
            UnreadableRow(start + row, None if paths is None else paths[row], faults[row]) for row in sorted(faults)
        ),
    )


def read_one_by_one(count: int, image: Callable[[int], Images]) -> tuple[Images, dict[int, str]]:
    """Return the images of so many rows, and the reasons of those for which `image` raises `InvalidImages`."""
    images, faults = np.zeros((count, SIDE, SIDE), np.uint8), dict[int, str]()
    for row in range(count):
        try:
            images[row] = image(row)
        except InvalidImages as error:
            faults[row] = str(error)
    return images, faults
