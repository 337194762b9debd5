"""Reads PNG, JPEG and `.npy` files as uint8 batches. A file is known by its content, and judged before it is decoded.

Fashion-MNIST shows light articles on black. A picture on white is read as it is, never inverted: what to make of it is
for the caller to say, and a guess would be wrong for some.
"""

import io
import re
import struct
import warnings
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from fmnist.domain.model.errors import InvalidImages
from fmnist.domain.model.images import SIDE, Images, decode_images

_NPY_MAGIC = b"\x93NUMPY"
# A 32-megapixel photograph takes 100 MB once decoded; what is larger has no use here, and may be meant to harm.
_MAX_PIXELS = 32_000_000
_MAX_NPY_BYTES = 1_000_000_000
# libjpeg writes a progressive JPEG in 18 scans at most. Each walks all pixels, and may be thirty bytes of a file.
_JPEG, _SCAN, _END, _MAX_SCANS = b"\xff\xd8", b"\xff\xda", b"\xff\xd9", 20
# Those that libjpeg takes for the begin of a segment with a length, or for the end.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
# Pillow takes each one up in Python. Photographs have dozens.
_MAX_SEGMENTS = 10_000


class UnreadablePicture(InvalidImages):
    """Neither PNG nor JPEG, or damaged."""


def read_image_file(path: str | Path) -> Images:
    """Return the images of one file, uint8 (n, 28, 28).

    A picture becomes one grey image: its longer side is scaled to 28 pixels and the shorter one filled up with black on
    both sides, as Fashion-MNIST itself was made. What is transparent shows black. An array holds images in any layout
    of `decode_images`; no object in it is ever unpickled.

    Raises:
        InvalidImages: the file is absent, unreadable, too large, or neither a picture nor an array of images.
    """
    try:
        with warnings.catch_warnings():
            # Both libraries warn of oddities, such as damaged EXIF data, in files that they go on to read or to refuse.
            warnings.simplefilter("ignore")
            return _read(Path(path))
    except InvalidImages as error:
        raise InvalidImages(f"{path}: {error}") from error
    except UnidentifiedImageError as error:
        raise InvalidImages(f"{path}: not a PNG, JPEG or .npy file") from error
    except OSError as error:
        raise InvalidImages(f"{path}: {error.strerror or error}") from error
    except ValueError as error:
        raise InvalidImages(f"{str(path)!r} is no path: {error}") from error


def decode_picture(content: bytes | bytearray, max_pixels: int) -> Images:
    """Return the one image, uint8 (1, 28, 28), that a PNG or JPEG in memory shows, made as `read_image_file` does.

    Raises:
        UnreadablePicture: neither of them, or damaged.
        InvalidImages: more than `max_pixels` pixels, which are counted before any is decoded, or an animation.
    """
    if content.startswith(_JPEG):
        _check_scans(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _read_picture(io.BytesIO(content), max_pixels)[np.newaxis]
    except UnidentifiedImageError as error:
        raise UnreadablePicture("not a PNG or JPEG picture") from error
    except OSError as error:
        raise UnreadablePicture(f"a damaged picture ({error})") from error


def _check_scans(jpeg: bytes | bytearray) -> None:
    """Refuse what would be decoded over and over; previews inside of segments, and what follows the end, are none."""
    position = scans = 0
    for _ in range(_MAX_SEGMENTS):
        marker = _MARKER.search(jpeg, position)
        if marker is None or marker[0] == _END:
            return
        scans += marker[0] == _SCAN
        if scans > _MAX_SCANS:
            raise UnreadablePicture(f"a JPEG of more than {_MAX_SCANS} scans")
        length = int.from_bytes(jpeg[marker.end() : marker.end() + 2], "big")
        position = marker.end() + max(2, length)
    raise UnreadablePicture(f"a JPEG of more than {_MAX_SEGMENTS} segments")


def _read(path: Path) -> Images:
    # Asked before it is opened: opening a pipe would wait for whoever writes to it.
    if path.exists() and not path.is_file():
        raise InvalidImages("not a regular file")
    with path.open("rb") as file:
        is_array = file.read(len(_NPY_MAGIC)) == _NPY_MAGIC
    return _read_array(path) if is_array else _read_picture(path, _MAX_PIXELS)[np.newaxis]


def _read_array(path: Path) -> Images:
    try:
        # Mapped, so that a header that promises more than the file holds is refused before any memory is taken.
        mapped = np.lib.format.open_memmap(path, mode="r")
    except (ValueError, TypeError, OverflowError, EOFError, SyntaxError, KeyError, TokenError) as error:
        raise InvalidImages(f"not a readable .npy file of numbers ({type(error).__name__})") from error
    if mapped.nbytes > _MAX_NPY_BYTES:
        raise InvalidImages(f"an array of {mapped.nbytes} bytes, expected at most {_MAX_NPY_BYTES}")
    # A copy, so that the images stay what they are when the file changes.
    return np.array(decode_images(mapped))


def _read_picture(source: Path | io.BytesIO, max_pixels: int) -> Images:
    try:
        with Image.open(source, formats=("PNG", "JPEG")) as picture:
            if picture.width * picture.height > max_pixels:
                raise InvalidImages(
                    f"a picture of {picture.width}x{picture.height} pixels, expected at most {max_pixels} in all"
                )
            frames = getattr(picture, "n_frames", 1)
            # Cameras put a preview or a depth map behind a JPEG's picture; in a PNG more frames are an animation.
            if picture.format == "PNG" and frames > 1:
                raise InvalidImages(f"an animation of {frames} pictures, expected one")
            # In place, as a copy would be as large again.
            ImageOps.exif_transpose(picture, in_place=True)
            return _fit(_grey(picture))
    except Image.DecompressionBombError as error:
        raise InvalidImages(f"a picture of too many pixels, expected at most {max_pixels} in all") from error
    except (ValueError, TypeError, EOFError, SyntaxError, IndexError, struct.error, zlib.error) as error:
        raise UnreadablePicture(f"a damaged picture ({error})") from error


def _grey(picture: Image.Image) -> Image.Image:
    """Return the picture's lightness in 8 bits, laid over black where it is transparent."""
    if picture.mode.startswith("I"):
        # Pillow would cut 16-bit values off at 255.
        return Image.fromarray((np.asarray(picture) >> 8).clip(0, 255).astype(np.uint8))
    if picture.has_transparency_data:
        # In grey, which takes a quarter of the memory that colours do.
        opaque = picture.convert("RGBA")
        grey = Image.new("L", picture.size, 0)
        grey.paste(opaque.convert("L"), mask=opaque.getchannel("A"))
        return grey
    return picture.convert("L")


def _fit(picture: Image.Image) -> Images:
    """Scale the longer side to 28 and centre the picture on black; 28x28 pixels stay as they are.

    Lanczos keeps edges sharpest when a picture shrinks, and Fashion-MNIST's were sharpened (Xiao et al. 2017).
    """
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    canvas = Image.new("L", (SIDE, SIDE), 0)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    canvas.paste(small, ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.array(canvas)
