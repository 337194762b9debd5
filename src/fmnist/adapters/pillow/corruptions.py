"""Corrupts images, by Pillow and NumPy. It implements no port: it is the `Corrupt` that services are given.

Severity 5 hurts, and leaves the article recognizable to a person. The random part of a row depends on the corruption
and the row's place only, so that severities of one image can be compared.
"""

import io
from collections.abc import Callable, Mapping

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.evaluation.robustness import Corruption

_SEED = 20170825
_GREY = 128
_DIRECTIONS = ((-1, -1), (-1, 0), (-1, 1), (0, -1), (0, 1), (1, -1), (1, 0), (1, 1))
_SQUARE = (SIDE, SIDE)

_Change = Callable[[Images, float, np.random.Generator], Images]


def corrupt(images: Images, corruption: Corruption, severity: int) -> Images:
    """Corrupt images uint8 (n, 28, 28) by a severity of 0 to 5; 0 changes nothing."""
    if severity == 0:
        return images
    change, levels = _CHANGES[corruption]
    random = np.random.default_rng([_SEED, list(Corruption).index(corruption)])
    return change(images, levels[severity - 1], random)


def _noise(images: Images, deviation: float, random: np.random.Generator) -> Images:
    return _rounded(images + deviation * random.standard_normal(images.shape, np.float32))


def _contrast(images: Images, factor: float, _: np.random.Generator) -> Images:
    mean = images.mean(axis=(1, 2), keepdims=True)
    return _rounded(mean + factor * (images - mean))


def _brightness(images: Images, added: float, _: np.random.Generator) -> Images:
    return _rounded(images + np.float32(added))


def _shift(images: Images, pixels: float, random: np.random.Generator) -> Images:
    distance, chosen = int(pixels), (len(_DIRECTIONS) * random.random(len(images))).astype(int)
    framed = np.pad(images, ((0, 0), (distance, distance), (distance, distance)))
    shifted = np.empty_like(images)
    for direction, (down, right) in enumerate(_DIRECTIONS):
        top, left = distance * (1 - down), distance * (1 - right)
        rows = chosen == direction
        shifted[rows] = framed[rows, top : top + SIDE, left : left + SIDE]
    return shifted


def _occlusion(images: Images, side: float, random: np.random.Generator) -> Images:
    top, left = (random.random((len(images), 2)) * (SIDE - side + 1)).astype(int).T[:, :, np.newaxis]
    rows, columns = ((edge <= np.arange(SIDE)) & (np.arange(SIDE) < edge + side) for edge in (top, left))
    return np.where(rows[:, :, np.newaxis] & columns[:, np.newaxis, :], np.uint8(_GREY), images)


def _inversion(images: Images, least: float, _: np.random.Generator) -> Images:
    return np.where(images >= least, 255 - images, images)


def _rotation(images: Images, degrees: float, random: np.random.Generator) -> Images:
    signs = iter(np.where(random.random(len(images)) < 0.5, -1, 1).tolist())
    return _each(images, lambda picture: picture.rotate(next(signs) * degrees, Image.Resampling.BILINEAR))


def _scale(images: Images, side: float, _: np.random.Generator) -> Images:
    def smaller(picture: Image.Image) -> Image.Image:
        canvas, margin = Image.new("L", _SQUARE, 0), (SIDE - int(side)) // 2
        canvas.paste(picture.resize((int(side), int(side)), Image.Resampling.BILINEAR), (margin, margin))
        return canvas

    return _each(images, smaller)


def _blur(images: Images, radius: float, _: np.random.Generator) -> Images:
    return _each(images, lambda picture: picture.filter(ImageFilter.GaussianBlur(radius)))


def _pixelation(images: Images, side: float, _: np.random.Generator) -> Images:
    small = (int(side), int(side))
    return _each(
        images,
        lambda picture: picture.resize(small, Image.Resampling.BOX).resize(_SQUARE, Image.Resampling.NEAREST),
    )


def _jpeg(images: Images, quality: float, _: np.random.Generator) -> Images:
    def compressed(picture: Image.Image) -> Image.Image:
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=int(quality))
        return Image.open(file)

    return _each(images, compressed)


# Each change with its levels of severity 1 to 5. Levels of noise, brightness and inversion are in [0, 255].
_CHANGES: Mapping[Corruption, tuple[_Change, tuple[float, ...]]] = {
    Corruption.NOISE: (_noise, (10, 20, 32, 46, 64)),
    Corruption.BLUR: (_blur, (0.5, 0.8, 1.1, 1.5, 2)),
    Corruption.CONTRAST: (_contrast, (0.95, 0.9, 0.8, 0.65, 0.5)),
    Corruption.BRIGHTNESS: (_brightness, (5, 10, 20, 35, 60)),
    Corruption.SHIFT: (_shift, (1, 2, 3, 4, 5)),
    Corruption.ROTATION: (_rotation, (5, 10, 15, 22, 30)),
    Corruption.SCALE: (_scale, (26, 24, 22, 20, 18)),
    Corruption.OCCLUSION: (_occlusion, (4, 6, 8, 10, 12)),
    Corruption.JPEG: (_jpeg, (50, 30, 20, 12, 7)),
    Corruption.PIXELATION: (_pixelation, (20, 16, 13, 11, 9)),
    # Pixels from this level are inverted: first the lightest, at last all, with the background.
    Corruption.INVERSION: (_inversion, (240, 200, 150, 100, 0)),
}


def _each(images: Images, change: Callable[[Image.Image], Image.Image]) -> Images:
    changed = np.empty_like(images)
    for row, image in enumerate(images):
        changed[row] = np.asarray(change(Image.fromarray(image)))
    return changed


def _rounded(values: npt.NDArray[np.floating]) -> Images:
    rounded: Images = np.clip(np.rint(values), 0, 255).astype(np.uint8)
    return rounded
