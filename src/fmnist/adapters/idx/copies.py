"""Copies of the dataset in other formats: Kaggle's CSV files, and Hugging Face's Parquet files.

A copy is proved to have the same data as the official files, in any order. Each row, an image with its label, has a
SHA-256. Sorted by it, the rows have one order, whatever order they came in. So their hash in that order, which is
committed beside that of the official files, is equal exactly if the images and labels are the same.
"""

import gzip
import hashlib
import logging
import struct
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from fmnist.adapters.idx.files import TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from fmnist.adapters.inputs.source import FileImageSource
from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.errors import InvalidImages, InvalidSetting

logger = logging.getLogger(__name__)

KNOWN = (
    {"train": "fashion-mnist_train.csv", "test": "fashion-mnist_test.csv"},
    {"train": "train-*.parquet", "test": "test-*.parquet"},
)
"""The files of a copy, as patterns by split: Kaggle's, and Hugging Face's."""
_OFFICIAL = {"train": (TRAIN_IMAGES, TRAIN_LABELS), "test": (TEST_IMAGES, TEST_LABELS)}


def find_copy(directory: Path) -> Mapping[str, list[Path]] | None:
    """Return the files of a copy in the directory by split, or None if there is none."""
    for patterns in KNOWN:
        found = {split: sorted(directory.glob(pattern)) for split, pattern in patterns.items()}
        if all(found.values()):
            return found
    return None


def restore(copy: Mapping[str, list[Path]], target: Path) -> None:
    """Write a copy as the four official files into `target`.

    If the rows are not in the official order, which nobody can know from them, they are sorted by SHA-256.

    Raises:
        InvalidSetting: a file is unreadable, or the data are not those of the official files. The message names it.
        OSError: `target` cannot be written.
    """
    splits = {split: _read(split, files) for split, files in copy.items()}
    content = {split: _idx(data) for split, data in splits.items()}
    if any(_hashes(content[split]) != [file.sha256 for file in files] for split, files in _OFFICIAL.items()):
        logger.warning("The copy has another row order than the official files: its rows are sorted by SHA-256")
        content = {split: _idx(in_digest_order(data)) for split, data in splits.items()}
        for split, files in _OFFICIAL.items():
            if (found := _hashes(content[split])) != [file.sorted_sha256 for file in files]:
                raise InvalidSetting(
                    f"{_named(copy[split])} is not a copy of Fashion-MNIST: in the order of their SHA-256, images and "
                    f"labels have the SHA-256 {' and '.join(found)}, "
                    f"expected {' and '.join(file.sorted_sha256 for file in files)}"
                )
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target, prefix=".incoming-") as scratch:
        for split, files in _OFFICIAL.items():
            for file, data in zip(files, content[split], strict=True):
                Path(scratch, file.name).write_bytes(gzip.compress(data, compresslevel=1, mtime=0))
        for written in sorted(Path(scratch).iterdir()):
            written.replace(target / written.name)


def in_digest_order(data: LabeledImages) -> LabeledImages:
    """Return the rows, sorted by the SHA-256 of image and label."""
    pixels = data.images.reshape(len(data), -1)
    rows = np.concatenate([pixels, data.labels[:, np.newaxis]], axis=1)
    digests = [hashlib.sha256(row).digest() for row in rows]
    order = sorted(range(len(data)), key=digests.__getitem__)
    return LabeledImages(data.images[order], data.labels[order])


def _read(split: str, files: list[Path]) -> LabeledImages:
    source, parts, count = FileImageSource(), list[LabeledImages](), 0
    expected = _OFFICIAL[split][1].size - len(_header(1, 0))
    try:
        for part in source.parts([str(file) for file in files]):
            for rows in source.read(part):
                if rows.unreadable:
                    raise InvalidSetting(f"{part.uri}: row {rows.unreadable[0].row}: {rows.unreadable[0].reason}")
                if rows.labels is None:
                    raise InvalidSetting(f"{part.uri} has no labels")
                count += len(rows)
                if len(rows) and count <= expected:
                    parts.append(LabeledImages(rows.images, rows.labels))
    except InvalidImages as error:
        raise InvalidSetting(str(error)) from error
    if count != expected:
        raise InvalidSetting(f"{_named(files)} is not a copy of Fashion-MNIST: {count} images, expected {expected}")
    return LabeledImages.joined(parts)


def _named(files: list[Path]) -> str:
    return ", ".join(map(str, files))


def _idx(data: LabeledImages) -> tuple[bytes, bytes]:
    return _header(3, *data.images.shape) + data.images.tobytes(), _header(1, len(data)) + data.labels.tobytes()


def _header(dimensions: int, *shape: int) -> bytes:
    return struct.pack(f">{1 + len(shape)}I", 0x800 + dimensions, *shape)


def _hashes(content: tuple[bytes, bytes]) -> list[str]:
    return [hashlib.sha256(data).hexdigest() for data in content]
