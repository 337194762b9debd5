"""The four official files: their names and SHA-256, a check, and a parser. This module never downloads them."""

import gzip
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.dataset import LabeledImages
from fmnist.domain.model.data.images import SIDE
from fmnist.domain.model.errors import CorruptData

_UNSIGNED_BYTE = 0x08
"""The only element type that MNIST-like files use (third byte of an IDX file)."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """An official file, with the length in bytes and the SHA-256 of its content.

    Both describe the IDX data *inside* the gzip file, because distributors compress the same data differently: Debian's
    files have another gzip header than those of the dataset's own site. `sorted_sha256` is that of the same data when
    the rows are sorted as in `copies`.
    """

    name: str
    size: int
    sha256: str
    sorted_sha256: str = ""

    @property
    def most_packed(self) -> int:
        """The largest possible size of its gzip file in bytes: data that do not shrink, plus some overhead."""
        return self.size + self.size // 1000 + 1024


TRAIN_IMAGES = RawFile(
    "train-images-idx3-ubyte.gz",
    47_040_016,
    "c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888",
    "76862cbcec2d02d64b1f930e0931cbc70a0f48b35aeba71e00aa67f9cbe2e1c4",
)
TRAIN_LABELS = RawFile(
    "train-labels-idx1-ubyte.gz",
    60_008,
    "bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9",
    "930c0b6afcc09f8edeb92e31d7040663a0b108f8acdedc29481c4a7d2e7ff756",
)
TEST_IMAGES = RawFile(
    "t10k-images-idx3-ubyte.gz",
    7_840_016,
    "5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b",
    "305a0a1ca16d70c3071589fe5fd97d513c357a7b1c1d7dc86aac945c09263daa",
)
TEST_LABELS = RawFile(
    "t10k-labels-idx1-ubyte.gz",
    10_008,
    "0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34",
    "e825d3384613c8110dc358cf838a3e798ecfc06046ac3d92e4896f08187beafe",
)
TRAINING_IMAGES = 60_000
"""The number of images of `TRAIN_IMAGES`."""
RAW_FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)
_LONGEST = max(file.size for file in RAW_FILES)


def are_sorted(directory: Path, files: Sequence[RawFile]) -> bool:
    """Return whether all files hold the official data with their rows sorted, as `copies` writes them."""
    return all(
        hashlib.sha256(_decompress(directory / file.name, file.size)).hexdigest() == file.sorted_sha256
        for file in files
    )


def check_file(path: Path, file: RawFile) -> None:
    """Refuse a file that does not hold the official data.

    Raises:
        CorruptData: it is not a complete gzip file, or its content does not match `file.sha256`.
    """
    content = _decompress(path, file.size)
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise CorruptData(
            f"{path} is not the official {file.name}: its {len(content)} bytes have SHA-256 {found}, "
            f"expected {file.sha256}"
        )


def read_labeled_images(images: Path, labels: Path) -> LabeledImages:
    """Parse a pair of IDX files.

    Raises:
        CorruptData: a file does not match its header, or both differ in length.
    """
    pixels = parse_idx(_decompress(images, _LONGEST), images.name, dimensions=3)
    classes = parse_idx(_decompress(labels, _LONGEST), labels.name, dimensions=1)
    if len(pixels) != len(classes):
        raise CorruptData(f"{images.name} has {len(pixels)} images, but {labels.name} has {len(classes)} labels")
    if pixels.shape[1:] != (SIDE, SIDE):
        raise CorruptData(f"{images.name} has images of {pixels.shape[1:]} pixels, expected {SIDE}x{SIDE}")
    return LabeledImages(pixels, classes)


def parse_idx(content: bytes, name: str, dimensions: int) -> npt.NDArray[np.uint8]:
    """Return the array of an IDX file, a view of `content`. Errors call the file `name`.

    Raises:
        CorruptData: the magic number is not that of unsigned bytes with this number of dimensions, or the data are
            shorter or longer than the header says.
    """
    expected_magic = _UNSIGNED_BYTE << 8 | dimensions
    header = 4 * (1 + dimensions)
    if len(content) < header:
        raise CorruptData(f"{name} is {len(content)} bytes long, too short for its header of {header}")
    magic, *shape = struct.unpack(f">{1 + dimensions}I", content[:header])
    if magic != expected_magic:
        raise CorruptData(f"{name} starts with magic number {magic:#010x}, expected {expected_magic:#010x}")
    expected, found = math.prod(shape), len(content) - header
    if found != expected:
        sizes = " x ".join(map(str, shape))
        raise CorruptData(f"{name} must have {sizes} = {expected} bytes of data by its header, found {found}")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _decompress(path: Path, most: int) -> bytes:
    """Return the file's content, up to one byte more than `most`: a small gzip file can exceed the memory."""
    try:
        with gzip.open(path) as file:
            content = file.read(most + 1)
    except FileNotFoundError as error:
        raise CorruptData(f"{path} does not exist") from error
    except (OSError, EOFError, zlib.error) as error:
        raise CorruptData(f"{path} is not a complete gzip file: {error}") from error
    if len(content) > most:
        raise CorruptData(f"{path} is not the official {path.name}: it holds more than {most} bytes")
    return content
