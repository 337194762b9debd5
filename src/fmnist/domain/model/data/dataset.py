"""A data version, resolved once: the location of its splits, the hash of their bytes, and its metadata."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import CLASS_NAMES, SIDE, Images
from fmnist.domain.model.data.normalization import Normalization
from fmnist.domain.model.errors import CorruptData, SplitNotFound

SPLITS = ("train", "val", "test")
REQUIRED_SPLITS = SPLITS[:2]
"""Splits of every data version. Old versions have no `test`."""
MEASURED_SPLITS = ("test", "val")
"""Splits on which registered models may be measured."""

_LONGEST_NAME = 200  # each reply of the service repeats the name
Labels = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class SplitFile:
    """A Parquet file of a split: its URI (a path or `s3://...`) and the MD5 that its bytes must have.

    `endpoint` is the S3 endpoint that the registry gives for an `s3://` URI; a reader's own settings override it.
    `size` is the size in bytes that the registry gives, if any.
    """

    split: str
    uri: str
    md5: str
    endpoint: str | None = None
    size: int | None = None


@dataclass(frozen=True, slots=True)
class DatasetVersion:
    """A version of the data registry, pinned to a commit.

    Attributes:
        version: the Git tag, such as `fashion-mnist-v1.0.0`.
        commit: the full Git SHA of the tag at the time it was resolved.
        splits: the files by split name: always `train` and `val`, and `test` in newer versions. The rows of a split are
            those of its files, in this order.
        metadata: the parsed `metadata.json` of that commit.
        source: path or Git URL of the registry, without credentials, for lineage.
        paths: the splits' paths inside the registry; for several files, the pattern that they match. The key `metadata`
            has the path of `metadata.json`.
    """

    version: str
    commit: str
    splits: Mapping[str, tuple[SplitFile, ...]]
    metadata: Mapping[str, Any]
    source: str
    paths: Mapping[str, str]

    @property
    def normalization(self) -> Normalization:
        """The train split's normalization, from the metadata."""
        return Normalization.from_metadata(self.metadata)

    @property
    def class_names(self) -> tuple[str, ...]:
        """The ten class names in the order of their labels, from the metadata."""
        try:
            classes = self.metadata["schema"]["features"]["label"]["classes"]
            names = tuple(classes[str(label)] for label in range(len(CLASS_NAMES)))
        except (KeyError, TypeError) as error:
            raise CorruptData(
                f"metadata of {self.version} does not name classes 0-9 in schema.features.label.classes: {error!r}"
            ) from error
        for name in names:
            if (flaw := _flaw(name, names)) is not None:
                raise CorruptData(
                    f"metadata of {self.version} has {flaw} among its class names: expected ten different names"
                )
        return names

    @property
    def digest(self) -> str:
        """A hash of the splits' contents. It is equal for two versions exactly if every split has the same files."""
        lines = sorted(" ".join((split, *(file.md5 for file in files))) for split, files in self.splits.items())
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:32]

    def files(self, split: str) -> tuple[SplitFile, ...]:
        """Return the files of `split`, in the order of its rows.

        Raises:
            SplitNotFound: this version has no such split.
        """
        try:
            return self.splits[split]
        except KeyError:
            there = ", ".join(self.splits)
            raise SplitNotFound(f"{self.version} has no split {split!r}: it has {there}") from None


def _flaw(name: object, names: Sequence[object]) -> str | None:
    """Return why a class name cannot be shown or told from the others, or None. Escaping is left to the caller."""
    if not isinstance(name, str):
        return f"a value of type {type(name).__name__}"
    if not name.strip():
        return "an empty name"
    if len(name) > _LONGEST_NAME:
        return f"a name of {len(name)} characters (at most {_LONGEST_NAME})"
    if any("\ud800" <= letter <= "\udfff" for letter in name):
        return f"{name!r}, which is not valid Unicode,"
    return f"{name!r} twice" if names.count(name) > 1 else None


def part_rows(rows: int, parts: int, part: int) -> tuple[int, int]:
    """Return where a part of consecutive rows starts and stops. The first parts get one row more where needed."""
    size, longer = divmod(rows, parts)
    start = part * size + min(part, longer)
    return start, start + size + int(part < longer)


@dataclass(frozen=True, slots=True)
class LabeledImages:
    """Images uint8 (n, 28, 28) and labels uint8 (n,), checked once when they enter.

    Raises:
        CorruptData: other shapes or dtypes, no image, or a label outside 0-9.
    """

    images: Images
    labels: Labels

    def __post_init__(self) -> None:
        if self.images.dtype != np.uint8 or self.images.shape[1:] != (SIDE, SIDE):
            raise CorruptData(
                f"images must be uint8 (n, {SIDE}, {SIDE}), found {self.images.dtype} {self.images.shape}"
            )
        if self.labels.dtype != np.uint8 or self.labels.shape != self.images.shape[:1]:
            raise CorruptData(
                f"labels must be uint8 ({len(self.images)},), found {self.labels.dtype} {self.labels.shape}"
            )
        if len(self.labels) == 0:
            raise CorruptData("no images: expected at least one")
        if self.labels.max() >= len(CLASS_NAMES):
            row = int(np.argmax(self.labels >= len(CLASS_NAMES)))
            raise CorruptData(f"label {self.labels[row]} in row {row}: expected 0-{len(CLASS_NAMES) - 1}")

    def __len__(self) -> int:
        return len(self.labels)

    def head(self, limit: int | None) -> "LabeledImages":
        """Return the first `limit` rows, or all when `limit` is None."""
        return self if limit is None else self.rows(0, limit)

    def rows(self, start: int, stop: int) -> "LabeledImages":
        """Return these rows, which share the memory of all."""
        return LabeledImages(self.images[start:stop], self.labels[start:stop])

    def cut(self, parts: int) -> list["LabeledImages"]:
        """Return the parts by `part_rows`. They share the memory of all rows."""
        return [self.rows(*part_rows(len(self), parts, part)) for part in range(parts)]

    @classmethod
    def joined(cls, parts: Iterable["LabeledImages"]) -> "LabeledImages":
        """Return the rows of all parts in their order, in one array. A single part is returned as it is.

        Each part is copied before the one after the next is asked for. So at most two parts are in memory beside the
        array, if `parts` makes them one by one.

        Raises:
            CorruptData: there is no part.
        """
        last, images, labels = None, bytearray(), bytearray()  # these grow in place
        for part in parts:
            if last is not None:
                _append(last, images, labels)
            last = part
        if last is None:
            raise CorruptData("no images: expected at least one")
        if not labels:
            return last
        _append(last, images, labels)
        return cls(np.frombuffer(images, np.uint8).reshape(-1, SIDE, SIDE), np.frombuffer(labels, np.uint8))


def _append(part: LabeledImages, images: bytearray, labels: bytearray) -> None:
    images.extend(part.images.reshape(-1).data)
    labels.extend(np.ascontiguousarray(part.labels).data)
