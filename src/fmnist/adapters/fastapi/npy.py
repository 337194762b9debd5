"""Reads NumPy's `.npy` format from memory, uint8 only. NumPy parses the header as literals; nothing is unpickled."""

import io
import math

import numpy as np
from numpy.lib import format as npy_format

from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.data.images import Images, images_from_array
from fmnist.domain.model.errors import InvalidImages

# Version 3.0 is version 2.0 in UTF-8, and the header of a uint8 array is ASCII.
_HEADERS = {
    (1, 0): npy_format.read_array_header_1_0,
    (2, 0): npy_format.read_array_header_2_0,
    (3, 0): npy_format.read_array_header_2_0,
}
# NumPy itself writes headers of 118 bytes for such arrays.
_MAX_HEADER = 1024
_MAX_DIMENSIONS, _MAX_LENGTH = 4, 10**6


def images_from_npy(content: bytes) -> Images:
    """Return an array in any layout of `decode_images` as a batch. It may be a view of `content`.

    Raises:
        Problem: it is not a `.npy` file, or not as long as its header says.
        InvalidImages: another dtype, or a shape that is not one of images.
    """
    file = io.BytesIO(content)
    try:
        shape, is_fortran, dtype = _HEADERS[npy_format.read_magic(file)](file, max_header_size=_MAX_HEADER)
    except Exception as error:
        # On untrusted bytes, Python's parser raises many types.
        raise _malformed("its header cannot be read") from error
    if dtype != np.uint8:
        raise InvalidImages("the array must be of dtype uint8: convert it with images.astype('uint8')")
    found = len(content) - file.tell()
    # `type(each)`, because NumPy accepts a bool as a length.
    if len(shape) > _MAX_DIMENSIONS or any(type(each) is not int or not 0 <= each <= _MAX_LENGTH for each in shape):
        raise _malformed(f"its shape is not one of images, found {found} bytes of pixels")
    promised = math.prod(shape)
    if promised != found:
        raise _malformed(f"expected {promised} bytes of pixels by its header, found {found}")
    flat = np.frombuffer(content, np.uint8, offset=file.tell()) if found else np.empty(0, np.uint8)
    return images_from_array(flat.reshape(shape, order="F" if is_fortran else "C"))


def _malformed(why: str) -> Problem:
    return Problem(400, "malformed_npy", f"not a readable .npy file: {why}")
