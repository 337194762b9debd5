"""Fashion-MNIST images: their classes, and the decoding of every accepted layout into a uint8 batch.

A batch is a C-contiguous uint8 array of shape (n, 28, 28), n >= 1, 0 = black background. Decoding never rounds,
clips or casts a value. It refuses a pixel that is not an integer in 0..255, and the error has its position.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.errors import InvalidImages

Images = npt.NDArray[np.uint8]

CLASS_NAMES = (
    "T-shirt/top",
    "Trouser",
    "Pullover",
    "Dress",
    "Coat",
    "Sandal",
    "Shirt",
    "Sneaker",
    "Bag",
    "Ankle boot",
)
SIDE = 28
PIXELS = SIDE * SIDE
_ONE_IMAGE = ((SIDE, SIDE), (PIXELS,))
_LAYOUTS = f"one of (n, {SIDE}, {SIDE}), (n, {PIXELS}), (n, 1, {SIDE}, {SIDE}), ({SIDE}, {SIDE}), ({PIXELS},)"


def decode_images(raw: object) -> Images:
    """Return any accepted layout as one uint8 batch of shape (n, 28, 28).

    Accepted are arrays of any integer dtype in the layouts (n, 28, 28), (n, 784), (n, 1, 28, 28), (28, 28) and (784,);
    bytes of n x 784 pixels; and sequences of images, each of 784 integers or 28 rows of 28 integers.

    Raises:
        InvalidImages: the message has the position of the first bad value, and never the input itself.
    """
    match raw:
        case bytes() | bytearray() | memoryview():
            return images_from_bytes(raw)
        case np.ndarray():
            return images_from_array(raw)
        case list() | tuple():
            return images_from_sequence(raw)
    raise InvalidImages(f"images must be an array, bytes or a list, found {_kind(raw)}")


def images_from_bytes(raw: bytes | bytearray | memoryview) -> Images:
    """Return n x 784 bytes, row by row, as a batch. The batch is a view of `raw`."""
    if isinstance(raw, memoryview) and not (raw.format == "B" and raw.c_contiguous):
        raise InvalidImages(f"a memoryview of pixels must be contiguous bytes, found items of format {raw.format!r}")
    flat = np.frombuffer(raw, dtype=np.uint8)
    if flat.size == 0:
        raise InvalidImages("no images: expected at least one")
    if flat.size % PIXELS:
        raise InvalidImages(f"{flat.size} bytes are not a whole number of images of {PIXELS} bytes")
    return flat.reshape(-1, SIDE, SIDE)


def images_from_array(array: npt.NDArray[Any]) -> Images:
    """Return an integer array as a batch, in the layouts of `decode_images`."""
    if count_images(array.shape, array.dtype) == 0:
        raise InvalidImages("no images: expected at least one")
    batch = array.reshape(-1, SIDE, SIDE)
    if batch.dtype != np.uint8:
        _refuse_first((batch < 0) | (batch > 255), batch)
    return np.ascontiguousarray(batch, dtype=np.uint8)


def images_from_floats(array: npt.NDArray[np.floating[Any]]) -> Images:
    """Return an array (n, 28, 28) of whole numbers 0-255 as a batch.

    Raises:
        InvalidImages: a value is not a whole number 0-255. The message has the position of the first one.
    """
    # A cast of any other value is wrong, so it is compared. For NaN and values outside the range it would warn.
    with np.errstate(invalid="ignore"):
        batch = array.astype(np.uint8, order="C")
        _refuse_first(batch != array, array)
    return batch


def count_images(shape: tuple[int, ...], dtype: np.dtype[Any]) -> int:
    """Return the number of images of an array of this shape, or raise `InvalidImages` as `decode_images` does."""
    if dtype.kind not in "iu":
        raise InvalidImages(f"images must be integers 0-255, found dtype {dtype.name}")
    if shape in _ONE_IMAGE:
        return 1
    if shape[1:] in (*_ONE_IMAGE, (1, SIDE, SIDE)):
        return shape[0]
    raise InvalidImages(f"images of shape {shape}: expected {_LAYOUTS}")


def images_from_sequence(images: Sequence[object]) -> Images:
    """Return a list of images, each 784 integers or 28 rows of 28, as a batch. Booleans and floats are refused."""
    return images_from_bytes(b"".join(_image_bytes(image, index) for index, image in enumerate(images)))


def _image_bytes(image: object, index: int) -> bytes:
    where = f"images[{index}]"
    if not isinstance(image, list | tuple):
        raise InvalidImages(f"{where} must be a list of {PIXELS} or {SIDE}x{SIDE} integers, found {_kind(image)}")
    if len(image) == PIXELS:
        return _pixel_bytes(image, where)
    if len(image) != SIDE:
        raise InvalidImages(f"{where} has {len(image)} values, expected {PIXELS} or {SIDE} rows of {SIDE}")
    return b"".join(_row_bytes(row, f"{where}[{row_index}]") for row_index, row in enumerate(image))


def _row_bytes(row: object, where: str) -> bytes:
    if not isinstance(row, list | tuple):
        raise InvalidImages(f"{where} must be a row of {SIDE} integers, found {_kind(row)}")
    if len(row) != SIDE:
        raise InvalidImages(f"{where} has {len(row)} values, expected {SIDE}")
    return _pixel_bytes(row, where)


def _pixel_bytes(values: Sequence[object], where: str) -> bytes:
    # Valid input takes one pass in C. The slow loop that finds the position runs for bad input only.
    if set(map(type, values)) == {int}:
        try:
            return bytes(values)  # type: ignore[arg-type]
        except (ValueError, OverflowError):
            pass
    for position, value in enumerate(values):
        if type(value) is not int or not 0 <= value <= 255:
            raise InvalidImages(f"{where}[{position}] must be an integer 0-255, found {_kind(value)}")
    raise AssertionError("unreachable: bytes() refused integers that are all in 0..255")


def _refuse_first(bad: npt.NDArray[np.bool_], batch: npt.NDArray[Any]) -> None:
    if bad.any():
        image, row, column = (int(axis) for axis in np.argwhere(bad)[0])
        value = batch[image, row, column].item()
        found = _kind(int(value) if isinstance(value, float) and value.is_integer() else value)
        raise InvalidImages(f"images[{image}][{row}][{column}] must be an integer 0-255, found {found}")


def _kind(value: object) -> str:
    """Describe a bad value in a few words. The only input that is repeated is a small integer."""
    match value:
        case bool():
            return "a boolean"
        case int():
            return str(value) if -(10**6) < value < 10**6 else "an integer far outside this range"
        case float() if not np.isfinite(value):
            return "a number that is not finite"
        case float():
            # JSON parsers read integers of more than 64 bits as decimal numbers.
            return "a decimal number" if -(10**6) < value < 10**6 else "a number far outside this range"
        case str():
            return "a string"
        case None:
            return "null"
        case list() | tuple():
            return "a list"
        case dict():
            return "an object"
    return f"a value of type {type(value).__name__}"
