"""Writes arrays as IDX files, like the makers of the dataset."""

import struct

import numpy as np
import numpy.typing as npt


def idx_images(images: npt.NDArray[np.uint8]) -> bytes:
    """Return the content of an idx3 file."""
    return struct.pack(">4I", 0x803, *images.shape) + images.tobytes()


def idx_labels(labels: npt.NDArray[np.uint8]) -> bytes:
    """Return the content of an idx1 file."""
    return struct.pack(">2I", 0x801, len(labels)) + labels.tobytes()
