"""Streams the arrays of `.npy` and IDX files. Nothing is unpickled, and no header makes it allocate memory."""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.image_rows import MOST_ROWS, ImageRows, divide_rows, read_one_by_one
from fmnist.domain.model.data.images import PIXELS, SIDE, count_images, images_from_array
from fmnist.domain.model.errors import InvalidImages

NPY, GZIP, IDX_IMAGES, IDX_LABELS = b"\x93NUMPY", b"\x1f\x8b", b"\x00\x00\x08\x03", b"\x00\x00\x08\x01"
_MOST_BYTES_AT_ONCE = 1_000_000_000


def open_npy(file: BinaryIO) -> tuple[int, Iterator[ImageRows]]:
    """Open an array of integers, in a layout of `decode_images`."""
    try:
        version = np.lib.format.read_magic(file)
        read = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}[version]
        shape, fortran, dtype = read(file)
    except OSError:
        raise
    except Exception as error:
        # The header is a Python literal, and Python's parser may raise many types.
        raise InvalidImages(f"not a readable .npy file of numbers ({type(error).__name__})") from error
    count = count_images(shape, dtype)
    if count < 0:
        raise InvalidImages("not a readable .npy file of numbers (a negative size)")
    return count, _batches(_columns(file, shape, dtype) if fortran else _records(file, count, dtype))


def open_idx(file: BinaryIO, labels: BinaryIO | None) -> tuple[int, Iterator[ImageRows]]:
    """Open images of 28x28 unsigned bytes and, if there are some, their labels. Both may be packed by gzip."""
    file = unpacked(file)
    count, *sides = _header(file, IDX_IMAGES, 3)
    if sides != [SIDE, SIDE]:
        raise InvalidImages(f"images of {'x'.join(map(str, sides))} pixels, expected {SIDE}x{SIDE}")
    images = _batches(_records(file, count, np.dtype(np.uint8), end=True))
    if labels is None:
        return count, images
    labels = unpacked(labels)
    (found,) = _header(labels, IDX_LABELS, 1)
    if found != count:
        raise InvalidImages(f"{count} images, but {found} labels in the file beside it")
    return count, _labeled(images, _blocks(labels, count, 1, end=True))


def unpacked(file: BinaryIO) -> BinaryIO:
    """Return the content of a gzip file as a stream, or any other file as it is."""
    packed = file.read(len(GZIP)) == GZIP
    file.seek(0)
    return cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file


def _header(file: BinaryIO, magic: bytes, dimensions: int) -> tuple[int, ...]:
    size = 4 * (1 + dimensions)
    start = _read(file, size)
    if not start.startswith(magic) or len(start) < size:
        found = start[:4].hex() or "nothing"
        raise InvalidImages(f"it starts with {found}, expected an IDX header {magic.hex()} of {size} bytes")
    return struct.unpack(f">{dimensions}I", start[4:])


def _labeled(images: Iterator[ImageRows], labels: Iterator[bytes]) -> Iterator[ImageRows]:
    for batch, content in zip(images, labels, strict=True):
        yield divide_rows(int(batch.rows[0]), batch.images, {}, np.frombuffer(content, np.uint8))


def _batches(arrays: Iterator[npt.NDArray[Any]]) -> Iterator[ImageRows]:
    start = 0
    for array in arrays:
        try:
            images, faults = images_from_array(array), dict[int, str]()
        except InvalidImages:
            images, faults = read_one_by_one(len(array), lambda row, array=array: images_from_array(array[row]))  # type: ignore[misc]
        yield divide_rows(start, images, faults)
        start += len(array)


def _records(file: BinaryIO, count: int, dtype: np.dtype[Any], *, end: bool = False) -> Iterator[npt.NDArray[Any]]:
    for content in _blocks(file, count, PIXELS * dtype.itemsize, end=end):
        yield np.frombuffer(content, dtype).reshape(-1, SIDE, SIDE)


def _columns(file: BinaryIO, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Iterator[npt.NDArray[Any]]:
    """Read an array in Fortran order, whose images are not stored one after the other, so all at once."""
    size = math.prod(shape) * dtype.itemsize
    if size > _MOST_BYTES_AT_ONCE:
        raise InvalidImages(
            f"an array of {size} bytes in Fortran order, expected at most {_MOST_BYTES_AT_ONCE}: save it in C order"
        )
    (content,) = _blocks(file, 1, size)
    images = np.frombuffer(content, dtype).reshape(shape, order="F").reshape(-1, SIDE, SIDE)
    for start in range(0, len(images), MOST_ROWS):
        yield images[start : start + MOST_ROWS]


def _blocks(file: BinaryIO, count: int, size: int, *, end: bool = False) -> Iterator[bytes]:
    """Yield the bytes of up to `MOST_ROWS` rows of `size` bytes. `end` refuses further bytes after the last one."""
    for start in range(0, count, MOST_ROWS):
        rows = min(MOST_ROWS, count - start)
        content = _read(file, rows * size)
        if len(content) < rows * size:
            raise InvalidImages(f"it ends after {start + len(content) // size} of {count} rows")
        yield content
    if end and _read(file, 1):
        raise InvalidImages(f"it goes on after its {count} rows")


def _read(file: BinaryIO, size: int) -> bytes:
    try:
        return file.read(size)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidImages(f"not a complete gzip file: {error}") from error
