"""Decodes PNG and JPEG pictures as uint8 images, and encodes pictures.

It detects the type of a picture from the content, and checks limits first.

Fashion-MNIST shows light articles on black. A picture on white is read as it is and never inverted, because a guess
would be wrong for some pictures. The caller must decide.
"""

import io
import re
import warnings
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from PIL import Image, ImageFile, ImageOps, UnidentifiedImageError

from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.errors import InvalidImages

# A photograph of 32 megapixels takes 100 MB when decoded. A larger one is of no use here, and may be an attack.
MOST_PIXELS = 32_000_000
MOST_PICTURE_BYTES = 8 * MOST_PIXELS  # uncompressed RGBA with 16 bits for each channel
PNG = b"\x89PNG\r\n\x1a\n"
# libjpeg writes a progressive JPEG in at most 18 scans. Decoding a scan visits all pixels, but it may be only 30 bytes.
JPEG, _SCAN, _END, _MAX_SCANS = b"\xff\xd8", b"\xff\xda", b"\xff\xd9", 20
# Markers that libjpeg reads as the start of a segment with a length, or as the end.
_MARKER = re.compile(rb"\xff[\xc0-\xcf\xd9-\xfe]")
# Pillow handles each segment in Python, which is slow. Photographs have dozens.
_MAX_SEGMENTS = 10_000
# The same for PNG chunks. libpng writes one for each 8 KiB, so 24,000 for the largest pictures that are accepted.
_MAX_CHUNKS = 50_000
# Pillow multiplies samples of 2 and of 4 bits by these factors.
_STEPS = {"L;2": 85, "L;4": 17}


_T = TypeVar("_T")


class UnreadablePicture(InvalidImages):
    """The content is not PNG or JPEG, or it is damaged."""


def decode_picture(content: bytes | bytearray, max_pixels: int) -> Images:
    """Return the image of a PNG or JPEG, uint8 (1, 28, 28), in grey as in Fashion-MNIST.

    The picture's longer side is scaled to 28 pixels, and the shorter one is padded with black on both sides.
    Transparent pixels become black.

    Raises:
        UnreadablePicture: it is not PNG or JPEG, or is damaged.
        InvalidImages: it has more than `max_pixels` pixels, which is checked before decoding, or is an animation.
    """
    return read_picture(content, max_pixels, _as_it_is)[np.newaxis]


def read_picture(content: bytes | bytearray, max_pixels: int, use: Callable[[ImageFile.ImageFile], _T]) -> _T:
    """Open a PNG or JPEG, check its limits, and return what `use` makes of it. Raises as `decode_picture` does."""
    if content.startswith(JPEG):
        _check_scans(content)
    elif content.startswith(PNG):
        _check_chunks(content)
    try:
        with warnings.catch_warnings():
            # Pillow warns of oddities, such as damaged EXIF data, in files that it then reads or refuses anyway.
            warnings.simplefilter("ignore")
            return _read_picture(io.BytesIO(content), max_pixels, use)
    except InvalidImages:
        raise
    except UnidentifiedImageError as error:
        raise UnreadablePicture("not a PNG or JPEG picture") from error
    except Image.DecompressionBombError as error:
        raise InvalidImages(f"a picture of too many pixels, expected at most {max_pixels} in all") from error
    except Exception as error:
        # A decoder may raise any type, and the cause is always the picture.
        raise UnreadablePicture(f"a damaged picture ({str(error) or type(error).__name__})") from error


def encode_picture(image: Images, picture_format: str) -> bytes:
    """Return one image, uint8 (28, 28), as a grey picture in the format `PNG` or `JPEG` (quality 95)."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, picture_format, quality=95)
    return file.getvalue()


def _check_scans(jpeg: bytes | bytearray) -> None:
    """Refuse a JPEG with too many scans. Previews inside of segments, and data after the end, do not count."""
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
    position = len(PNG)
    for _ in range(_MAX_CHUNKS):
        if position >= len(png) or png[position + 4 : position + 8] == b"IEND":
            return
        position += 12 + int.from_bytes(png[position : position + 4], "big")
    raise UnreadablePicture(f"a PNG of more than {_MAX_CHUNKS} chunks")


def _read_picture(source: io.BytesIO, max_pixels: int, use: Callable[[ImageFile.ImageFile], _T]) -> _T:
    with Image.open(source, formats=("PNG", "JPEG")) as picture:
        if picture.width * picture.height > max_pixels:
            raise InvalidImages(
                f"a picture of {picture.width}x{picture.height} pixels, expected at most {max_pixels} in all"
            )
        frames = getattr(picture, "n_frames", 1)
        # In a JPEG, further frames are a camera's preview or depth map. In a PNG, they are an animation.
        if picture.format == "PNG" and frames > 1:
            raise InvalidImages(f"an animation of {frames} pictures, expected one")
        _scale_key(picture)
        return use(picture)


def _as_it_is(picture: ImageFile.ImageFile) -> Images:
    # In place, to save the memory of a copy.
    ImageOps.exif_transpose(picture, in_place=True)
    return _fit(grey_on(picture, 0))


def _scale_key(picture: ImageFile.ImageFile) -> None:
    """Scale the transparent colour of a PNG like Pillow scales the pixels, because Pillow itself does not.

    Of a colour with 16 bits, Pillow keeps the upper 8.
    """
    key, layout = picture.info.get("transparency"), picture.tile[0].args
    if layout in _STEPS and isinstance(key, int):
        picture.info["transparency"] = key * _STEPS[layout]
    elif layout == "RGB;16B" and isinstance(key, tuple):
        picture.info["transparency"] = tuple(part >> 8 for part in key)


def grey_on(picture: Image.Image, behind: int) -> Image.Image:
    """Return the picture in 8 bits of grey, with the level `behind` where it is transparent."""
    if picture.mode == "I;16":
        # Pillow would clip values at 255, and ignore the transparent value.
        deep = np.asarray(picture)
        shown = (deep >> 8).astype(np.uint8)
        shown[deep == picture.info.get("transparency")] = behind
        return Image.fromarray(shown)
    if picture.has_transparency_data:
        # Paste in grey, which takes a quarter of the memory of RGBA.
        colours = picture.convert("RGBA")
        grey = Image.new("L", picture.size, behind)
        grey.paste(colours.convert("L"), mask=colours.getchannel("A"))
        return grey
    return picture.convert("L")


def _fit(picture: Image.Image) -> Images:
    """Scale the longer side to 28 pixels, and center the picture on black. A picture of 28x28 pixels is not changed.

    Lanczos keeps edges sharpest when a picture shrinks, and Fashion-MNIST's images were sharpened (Xiao et al. 2017).
    """
    scale = SIDE / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    canvas = Image.new("L", (SIDE, SIDE), 0)
    small = picture.resize((width, height), Image.Resampling.LANCZOS)
    canvas.paste(small, ((SIDE - width) // 2, (SIDE - height) // 2))
    return np.array(canvas)
