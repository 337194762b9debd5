"""Writes PNG files of every kind by the specification of the format, without Pillow."""

import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

GREY, RGB, PALETTE, GREY_ALPHA, RGB_ALPHA = 0, 2, 3, 4, 6
DEPTHS = {GREY: (1, 2, 4, 8, 16), RGB: (8, 16), PALETTE: (1, 2, 4, 8), GREY_ALPHA: (8, 16), RGB_ALPHA: (8, 16)}
_ADAM7 = ((0, 0, 8, 8), (0, 4, 8, 8), (4, 0, 8, 4), (0, 2, 4, 4), (2, 0, 4, 2), (0, 1, 2, 2), (1, 0, 2, 1))


def chunk(kind: bytes, content: bytes) -> bytes:
    """One chunk with its length and checksum."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(
    samples: npt.NDArray[np.integer], colour: int, depth: int, *, interlaced: bool, chunks: Sequence[bytes] = ()
) -> bytes:
    """A file of samples (rows, columns, channels) below 2**depth. `chunks` come before the pixels."""
    rows, columns, _ = samples.shape
    passes = _ADAM7 if interlaced else ((0, 0, 1, 1),)
    data = b"".join(_rows(samples[top::down, left::across], depth) for top, left, down, across in passes)
    header = struct.pack(">IIBBBBB", columns, rows, depth, colour, 0, 0, interlaced)
    body = [chunk(b"IHDR", header), *chunks, chunk(b"IDAT", zlib.compress(data)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(body)


def _rows(samples: npt.NDArray[np.integer], depth: int) -> bytes:
    if samples.size == 0:
        return b""
    flat = samples.reshape(len(samples), -1)
    if depth == 16:
        packed = np.ascontiguousarray(flat, ">u2").view(np.uint8)
    else:
        bits = np.unpackbits(flat.astype(np.uint8)[..., None], axis=2)[..., 8 - depth :]
        packed = np.packbits(bits.reshape(len(flat), -1), axis=1)
    return b"".join(b"\0" + row.tobytes() for row in packed)
