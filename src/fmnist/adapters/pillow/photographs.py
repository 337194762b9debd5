"""Prepares a photograph for the model: the steps that need Pillow, and then those of the domain."""

from collections.abc import Set

import numpy as np
from PIL import Image, ImageOps

from fmnist.adapters.pillow.files import grey_on, read_picture
from fmnist.domain.model.data.photograph import Done, Prepared, Step, prepare_grey

# Enough for 28 pixels, and small enough for arithmetic with floats.
_LONGEST = 1024
_BORDER = 16  # as a part of the shorter side
_ORIENTATION, _UPRIGHT = 0x0112, 1  # of EXIF
_OPAQUE, _MIDDLE, _WHITE = 128, 128, 255


def prepare_photograph(content: bytes, max_pixels: int, without: Set[Step]) -> Prepared:
    """Prepare a PNG or JPEG by all steps, but those in `without`. Raises as `decode_picture` does."""
    return read_picture(content, max_pixels, lambda picture: _prepare(picture, without))


def _prepare(picture: Image.Image, without: Set[Step]) -> Prepared:
    steps = []
    if Step.ORIENTATION not in without and picture.getexif().get(_ORIENTATION, _UPRIGHT) != _UPRIGHT:
        ImageOps.exif_transpose(picture, in_place=True)
        steps.append(Done(Step.ORIENTATION, "turned upright, as the file says"))
    behind = _behind(picture) if picture.has_transparency_data else None
    grey = grey_on(picture, behind or 0)
    made = [] if picture.mode == "L" else [f"made grey, from {picture.mode}"]
    if max(grey.size) > _LONGEST:
        grey.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BOX)
        made.append(f"reduced to {grey.width}x{grey.height} pixels")
    if behind is not None:  # the article may fill the picture, so give it a border of background
        grey = ImageOps.expand(grey, 1 + min(grey.size) // _BORDER, behind)
        on = f"laid on {'white' if behind else 'black'}, with a border: {grey.width}x{grey.height} pixels"
        steps.append(Done(Step.TRANSPARENCY, on))
    if made:
        steps.append(Done(Step.GREY, ", ".join(made)))
    return prepare_grey(np.asarray(grey), without, tuple(steps))


def _behind(picture: Image.Image) -> int | None:
    """Return the grey to lay a cut-out picture on: white, unless the article is light. None if nothing is cut out."""
    if picture.mode == "I;16":  # Pillow clips it
        deep = np.asarray(picture)
        is_seen, levels = deep != picture.info.get("transparency"), deep >> 8
    else:
        small = picture.convert("RGBA")
        small.thumbnail((_LONGEST, _LONGEST), Image.Resampling.BOX)
        is_seen, levels = np.asarray(small.getchannel("A")) >= _OPAQUE, np.asarray(small.convert("L"))
    if is_seen.all():
        return None
    seen = levels[is_seen]
    return 0 if seen.size and seen.mean() >= _MIDDLE else _WHITE
