"""NumPy's `.npy` format in memory, uint8 alone: the header is searched for three plain values and never evaluated.

The format is numpy.lib.format's: magic, version, header length, a header that is a Python dictionary, then the pixels.
"""

import math
import re

import numpy as np

from fmnist.adapters.fastapi.problems import Problem
from fmnist.domain.model.errors import InvalidImages
from fmnist.domain.model.images import Images, images_from_array

_MAGIC = b"\x93NUMPY"
_LENGTH_BYTES = {b"\x01\x00": 2, b"\x02\x00": 4, b"\x03\x00": 4}
# NumPy's own headers for such arrays take 118 bytes.
_MAX_HEADER = 1024
_UINT8 = re.compile(rb"""['"]descr['"]\s*:\s*['"][|<>=]?u1['"]""")
_ORDER = re.compile(rb"""['"]fortran_order['"]\s*:\s*(True|False)""")
_SHAPE = re.compile(rb"""['"]shape['"]\s*:\s*\(((?:\s*\d{1,9}\s*,){0,4}(?:\s*\d{1,9}\s*)?)\)""")


def images_from_npy(content: bytes) -> Images:
    """Return an array in any layout of `decode_images` as a batch (a view of `content` where that is one).

    Raises:
        Problem: not such a file, or not as long as its header promises.
        InvalidImages: another dtype, or no layout of images.
    """
    header, start = _header(content)
    if not _UINT8.search(header):
        raise InvalidImages("the array must be of dtype uint8: convert it with images.astype('uint8')")
    order, shape = _ORDER.search(header), _SHAPE.search(header)
    if order is None or shape is None:
        raise _malformed("its header does not tell fortran_order and shape")
    lengths = tuple(int(length) for length in shape[1].split(b",") if length.strip())
    promised, found = math.prod(lengths), len(content) - start
    if promised != found:
        raise _malformed(f"its header promises {promised} bytes of pixels, found {found}")
    flat = np.frombuffer(content, np.uint8, offset=start) if found else np.empty(0, np.uint8)
    return images_from_array(flat.reshape(lengths, order="F" if order[1] == b"True" else "C"))


def _header(content: bytes) -> tuple[bytes, int]:
    size = _LENGTH_BYTES.get(bytes(content[6:8]))
    if content[:6] != _MAGIC or size is None:
        raise _malformed("it does not begin as one")
    start = 8 + size
    end = start + int.from_bytes(content[8:start], "little")
    if len(content) < start or end > min(len(content), _MAX_HEADER):
        raise _malformed(f"its header does not end within the file, or is longer than {_MAX_HEADER} bytes")
    return bytes(content[start:end]), end


def _malformed(why: str) -> Problem:
    return Problem(400, "malformed_npy", f"not a readable .npy file: {why}")
