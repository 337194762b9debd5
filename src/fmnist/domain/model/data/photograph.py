"""The one way from a photograph to an image like those of the training: its steps, and what each of them did.

Fashion-MNIST is a negative: photographs on white, inverted, cut to the article, and scaled until its longer side fills
the 28 pixels (Xiao et al. 2017, section 2). This does the same, for a background of any brightness.
"""

from collections.abc import Set
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import SIDE, Images

Grey = npt.NDArray[np.uint8]
"""A picture of any size in grey, uint8 (height, width)."""
_Plane = npt.NDArray[np.float32]
_Box = tuple[int, int, int, int]

# The background is that of the border, of a 32nd of the shorter side. Pixels far from its median belong to the article.
_BORDER = 32
_FAR, _NEAR, _ROUNDS = 60, 8, 5
# An article differs from the background by more than noise: by 20 levels, and by four deviations of the noise.
_LEAST, _DEVIATIONS = 20.0, 4.0
# It also has more than this share of the ink of its strong parts. A soft shadow has less.
_SHADOW = 0.35
_STRONG = 90  # percentile
# A row or column belongs to the article if so many of its pixels do.
_SHARE = 0.01


class Step(StrEnum):
    """A step of the preparation, in the order in which they are done."""

    ORIENTATION = "orientation"
    TRANSPARENCY = "transparency"
    GREY = "grey"
    BACKGROUND = "background"
    INVERSION = "inversion"
    CROP = "crop"
    RESIZE = "resize"


OPTIONAL = (Step.ORIENTATION, Step.BACKGROUND, Step.INVERSION, Step.CROP)
"""Steps that can be left out. A picture always becomes grey and 28x28."""


@dataclass(frozen=True, slots=True)
class Done:
    """What a step did to one picture, in a line for a person."""

    step: str
    what: str


@dataclass(frozen=True, slots=True)
class Prepared:
    """A prepared photograph: an image uint8 (28, 28), and the steps that changed something, in order."""

    image: Images
    steps: tuple[Done, ...]


def prepare_grey(grey: Grey, without: Set[Step], before: tuple[Done, ...] = ()) -> Prepared:
    """Do the steps from the background on, but those in `without`. `before` are the steps that are done already."""
    steps = [*before]
    background, noise = _background(grey)
    apart = grey - background
    limit = max(_LEAST, _DEVIATIONS * noise)
    darker, lighter = (float(np.maximum(sign * apart - limit, 0).sum()) for sign in (-1, 1))
    is_darker, level = darker > lighter, float(background.mean())
    is_inverted = is_darker and Step.INVERSION not in without
    article = _ink(apart, background, is_inverted=is_darker)
    if Step.BACKGROUND in without:
        ink = (255.0 - grey if is_inverted else grey).astype(np.float32)
    else:
        ink = article if is_inverted is is_darker else _ink(apart, background, is_inverted=is_inverted)
        steps.append(Done(Step.BACKGROUND, f"the border's grey, {level:.0f} of 255 in the mean, became black"))
    if is_inverted:
        steps.append(Done(Step.INVERSION, "inverted, because the article is darker than the background"))
    top, bottom, left, right = 0, grey.shape[0], 0, grey.shape[1]
    least = 255 * limit / max(1, level if is_darker else 255 - level)  # as ink
    if Step.CROP not in without and (box := _article(article, least)):
        top, bottom, left, right = box
        steps.append(Done(Step.CROP, f"cut to rows {top}-{bottom - 1} and columns {left}-{right - 1}"))
    side = max(bottom - top, right - left)
    rows = _areas(grey.shape[0], (top + bottom - side) / 2, side)
    columns = _areas(grey.shape[1], (left + right - side) / 2, side)
    image: Images = np.clip(np.rint(rows @ ink @ columns.T), 0, 255).astype(np.uint8)
    steps.append(Done(Step.RESIZE, f"{right - left}x{bottom - top} pixels became {SIDE}x{SIDE}, by their areas"))
    return Prepared(image, tuple(steps))


def _background(grey: Grey) -> tuple[_Plane, float]:
    """Return the background's level at each pixel, float32 (height, width), and the deviation of its noise.

    It is a plane, so a light from one side is allowed. Least squares fit it to the border, without outliers.
    """
    height, width = grey.shape
    thick = max(1, min(height, width) // _BORDER)
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    border = np.ones(grey.shape, bool)
    border[thick:-thick, thick:-thick] = False
    places = np.stack([np.ones(border.sum(), np.float32), rows[border] / height, columns[border] / width], axis=1)
    levels = grey[border].astype(np.float32)
    inside = np.abs(levels - np.median(levels)) <= _FAR
    plane, noise = np.array([np.median(levels), 0, 0], np.float32), 0.0
    for _ in range(_ROUNDS):
        if not inside.any():  # half of it is white, and half black
            break
        plane = np.linalg.lstsq(places[inside], levels[inside], rcond=None)[0]
        off = np.abs(levels - places @ plane)
        noise = 1.4826 * float(np.median(off[inside]))  # the median absolute deviation of a normal distribution
        inside = off <= max(_NEAR, 3 * noise)
    found: _Plane = np.clip(plane[0] + plane[1] * rows / height + plane[2] * columns / width, 0, 255)
    return found, noise


def _ink(apart: _Plane, background: _Plane, *, is_inverted: bool) -> _Plane:
    """Return how far each pixel is from the background, as a share of what is possible, in [0, 255]."""
    share = -apart / np.maximum(background, 1) if is_inverted else apart / np.maximum(255 - background, 1)
    ink: _Plane = np.clip(255 * share, 0, 255)
    return ink


def _article(ink: _Plane, least: float) -> _Box | None:
    """Return the article's rows and columns: first and last + 1 of each; None without an article."""
    strong = ink[ink > least]
    if not strong.size:
        return None
    mask = ink > max(least, _SHADOW * float(np.percentile(strong, _STRONG)))
    rows, columns = (np.flatnonzero(mask.mean(axis=axis) > _SHARE) for axis in (1, 0))
    if not rows.size or not columns.size:
        return None
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1


def _areas(size: int, start: float, side: float) -> _Plane:
    """Return the share of each of `size` pixels in each of 28 cells, which begin at `start` and cover `side` pixels.

    float32 (28, size). Each row has the sum 1, unless its cell is beyond the picture's edge, where it is black.
    """
    edges, cells = np.arange(size), start + side / SIDE * np.arange(SIDE + 1)
    shared = np.minimum(cells[1:, np.newaxis], edges + 1) - np.maximum(cells[:-1, np.newaxis], edges)
    areas: _Plane = (np.maximum(shared, 0) / (side / SIDE)).astype(np.float32)
    return areas
