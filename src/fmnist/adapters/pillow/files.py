"""Reads PNG, JPEG and `.npy` files as uint8 batches. A file is known by its content, and judged before it is decoded.

Fashion-MNIST shows light articles on black. A picture on white is read as it is, never inverted: what to make of it is
for the caller to say, and a guess would be wrong for some.
"""

import io
import re
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from fmnist.domain.model.data.images import SIDE, Images, decode_images
from fmnist.domain.model.errors import InvalidImages
from fmnist.domain.model.files import read_file

_NPY_MAGIC = b"\x93NUMPY"
# A 32-megapixel photograph takes 100 MB once decoded; what is larger has no use here, and may be meant to harm.
_MAX_PIXELS = 32_000_000
_MAX_PICTURE_BYTES = 8 * _MAX_PIXELS  # 16 bits of each colour and of opacity, uncompressed
_MAX_NPY_BYTES = 1_000_000_000
_PNG = b"\x89PNG\r\n\x1a\n"
# libjpeg writes a progressive JPEG in 18 scans at most. Each walks all pixels, and may be thirty bytes of a file.
_JPEG, _SCAN, _END, _MAX_SCANS = b"\xff\xd8", b"\xff\xda", b"\xff\xd9", 20
# Those that libjpeg takes for the begin of a segment with a length, or for the end.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
# Pillow takes each one up in Python. Photographs have dozens.
_MAX_SEGMENTS = 10_000
# So, too; libpng writes one for each 8 KiB, and of the largest pictures that are read 24,000.
_MAX_CHUNKS = 50_000
# What Pillow multiplies samples of 2 and of 4 bits by.
_STEPS = {"L;2": 85, "L;4": 17}


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
        return _read(Path(path))
    except InvalidImages as error:
        raise InvalidImages(f"{path}: {error}") from error
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
    elif content.startswith(_PNG):
        _check_chunks(content)
    try:
        with warnings.catch_warnings():
            # It warns of oddities, such as damaged EXIF data, in files that it goes on to read or to refuse.
            warnings.simplefilter("ignore")
            return _read_picture(io.BytesIO(content), max_pixels)[np.newaxis]
    except InvalidImages:
        raise
    except UnidentifiedImageError as error:
        raise UnreadablePicture("not a PNG or JPEG picture") from error
    except Image.DecompressionBombError as error:
        raise InvalidImages(f"a picture of too many pixels, expected at most {max_pixels} in all") from error
    except Exception as error:
        # Whatever a decoder trips over, and it may be anything, is the picture's fault.
        raise UnreadablePicture(f"a damaged picture ({str(error) or type(error).__name__})") from error


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


def _check_chunks(png: bytes | bytearray) -> None:
    position = len(_PNG)
    for _ in range(_MAX_CHUNKS):
        if position >= len(png) or png[position + 4 : position + 8] == b"IEND":
            return
        position += 12 + int.from_bytes(png[position : position + 4], "big")
    raise UnreadablePicture(f"a PNG of more than {_MAX_CHUNKS} chunks")


def _read(path: Path) -> Images:
    # Asked before it is opened: opening a pipe would wait for whoever writes to it.
    if path.exists() and not path.is_file():
        raise InvalidImages("not a regular file")
    with path.open("rb") as file:
        start = file.read(len(_PNG))
    if start.startswith(_NPY_MAGIC):
        return _read_array(path)
    if not start.startswith((_PNG, _JPEG)):
        raise InvalidImages("not a PNG, JPEG or .npy file")
    return decode_picture(read_file(path, _MAX_PICTURE_BYTES), _MAX_PIXELS)


def _read_array(path: Path) -> Images:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            # Mapped, so that a header that promises more than the file holds is refused before any memory is taken.
            mapped = np.lib.format.open_memmap(path, mode="r")
    except OSError:
        raise
    except Exception as error:
        # Its header is a text of Python's, which is taken apart by Python's own means.
        raise InvalidImages(f"not a readable .npy file of numbers ({type(error).__name__})") from error
    if mapped.nbytes > _MAX_NPY_BYTES:
        raise InvalidImages(f"an array of {mapped.nbytes} bytes, expected at most {_MAX_NPY_BYTES}")
    # A copy, so that the images stay what they are when the file changes.
    return np.array(decode_images(mapped))


def _read_picture(source: io.BytesIO, max_pixels: int) -> Images:
    with Image.open(source, formats=("PNG", "JPEG")) as picture:
        if picture.width * picture.height > max_pixels:
            raise InvalidImages(
                f"a picture of {picture.width}x{picture.height} pixels, expected at most {max_pixels} in all"
            )
        frames = getattr(picture, "n_frames", 1)
        # Cameras put a preview or a depth map behind a JPEG's picture; in a PNG more frames are an animation.
        if picture.format == "PNG" and frames > 1:
            raise InvalidImages(f"an animation of {frames} pictures, expected one")
        _scale_key(picture)
        # In place, as a copy would be as large again.
        ImageOps.exif_transpose(picture, in_place=True)
        return _fit(_grey(picture))


def _scale_key(picture: ImageFile.ImageFile) -> None:
    """Bring the colour that a PNG calls transparent to the range that Pillow brings the pixels to; it does not do so.

    Of 16 bits of a colour it keeps the upper 8.
    """
    key, layout = picture.info.get("transparency"), picture.tile[0].args
    if layout in _STEPS and isinstance(key, int):
        picture.info["transparency"] = key * _STEPS[layout]
    elif layout == "RGB;16B" and isinstance(key, tuple):
        picture.info["transparency"] = tuple(part >> 8 for part in key)


def _grey(picture: Image.Image) -> Image.Image:
    """Return the picture's lightness in 8 bits, laid over black where it is transparent."""
    if picture.mode == "I;16":
        # Pillow would cut the values off at 255, and knows no transparent one among them.
        deep = np.asarray(picture)
        shown = (deep >> 8).astype(np.uint8)
        shown[deep == picture.info.get("transparency")] = 0
        return Image.fromarray(shown)
    if picture.has_transparency_data:
        # In grey, which takes a quarter of the memory that colours do.
        colours = picture.convert("RGBA")
        grey = Image.new("L", picture.size, 0)
        grey.paste(colours.convert("L"), mask=colours.getchannel("A"))
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
