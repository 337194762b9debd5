"""Draws classified images in a terminal: small pictures side by side, each with its answer below, and why.

Rich is imported only to draw. Without a colour terminal, the pictures are plain text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.errors import BadInput

if TYPE_CHECKING:
    from rich.color import Color
    from rich.console import Console
    from rich.text import Text

# From black to white, by how bright each character looks on a dark terminal.
_SHADES = " .:-=+*#%@"
_GAP = 3
# Blue and vermilion of Okabe and Ito 2008, which remain distinct with any colour blindness.
_FOR, _AGAINST = (213, 94, 0), (0, 114, 178)

_Falls = npt.NDArray[np.float32]
_Colours = npt.NDArray[np.uint8]
"""Red, green and blue, uint8 (28, 28, 3)."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The caption of a picture: predicted class, its probability in [0, 1], and the true class if known."""

    class_name: str
    confidence: float
    truth: str | None = None

    @property
    def is_right(self) -> bool | None:
        """Whether the answer is right; None when the true class is unknown."""
        return None if self.truth is None else self.class_name == self.truth


def draw_answers(
    console: "Console", images: Images, answers: Sequence[Answer], maps: Sequence[_Falls] | None = None
) -> None:
    """Print a uint8 batch (n, 28, 28) as pictures of 28 columns and 14 rows, as many side by side as fit.

    With `maps`, each float32 (28, 28), an explanation is beside each picture. In colour, the article is dark. Orange
    speaks for the class, and blue against it. In plain text, a brighter character speaks more for the class.

    Raises:
        BadInput: the number of answers or maps is not the number of images.
    """
    from rich.table import Table
    from rich.text import Text

    if len(images) != len(answers):
        raise BadInput(f"{len(images)} images and {len(answers)} answers: expected one answer per image")
    unicode = not console.options.ascii_only
    is_coloured = bool(unicode and console.color_system and not console.no_color)
    draw = _blocks if is_coloured else _shades
    pictures, captions = [draw(image) for image in images], [_caption(answer, unicode=unicode) for answer in answers]
    each = 1
    if maps is not None:
        each = 2
        explained = [
            _blocks(_marked(image, falls)) if is_coloured else _shades(_speaking_for(falls))
            for image, falls in zip(images, maps, strict=True)
        ]
        reasons = [Text(f"falls by up to {100 * falls.max():.0f} %") for falls in maps]
        pictures, captions = _beside(pictures, explained), _beside(captions, reasons)
    per_row = each * max(1, (console.width + _GAP) // (SIDE + _GAP) // each)
    for start in range(0, len(pictures), per_row):
        shown = slice(start, start + per_row)
        table = Table.grid(padding=(0, _GAP, 0, 0))
        for _ in captions[shown]:
            table.add_column(width=SIDE, justify="center")
        table.add_row(*pictures[shown])
        table.add_row(*captions[shown])
        console.print(table)
        console.print()


def _beside(left: "list[Text]", right: "list[Text]") -> "list[Text]":
    return [text for pair in zip(left, right, strict=True) for text in pair]


def _marked(image: Images, falls: _Falls) -> _Colours:
    """Mix the darkened image with the colour of what speaks for the class, or against it."""
    strength = (falls / max(float(np.abs(falls).max()), 1e-6))[..., np.newaxis]
    colour = np.where(strength > 0, np.array(_FOR), np.array(_AGAINST))
    mixed: _Colours = np.rint((1 - abs(strength)) * (image[..., np.newaxis] / 2) + abs(strength) * colour)
    return mixed.astype(np.uint8)


def _speaking_for(falls: _Falls) -> Images:
    levels: Images = np.rint(255 * np.clip(falls / max(float(falls.max()), 1e-6), 0, 1)).astype(np.uint8)
    return levels


def _blocks(image: Images | _Colours) -> "Text":
    """Draw two pixels per character: the upper one colours the half block, the lower one its background."""
    from rich.style import Style
    from rich.text import Text

    pixels: list[list[list[int]]] = np.broadcast_to(image.reshape(SIDE, SIDE, -1), (SIDE, SIDE, 3)).tolist()
    picture = Text(no_wrap=True, overflow="crop")
    for row in range(0, SIDE, 2):
        for upper, lower in zip(pixels[row], pixels[row + 1], strict=True):
            picture.append("▀", Style(color=_colour(*upper), bgcolor=_colour(*lower)))
        picture.append("\n")
    picture.rstrip()
    return picture


@cache
def _colour(red: int, green: int, blue: int) -> "Color":
    from rich.color import Color

    return Color.from_rgb(red, green, blue)


def _shades(image: Images) -> "Text":
    """Draw two pixels per character: their mean picks the character."""
    from rich.text import Text

    means = image.reshape(SIDE // 2, 2, SIDE).mean(axis=1)
    levels = np.rint(means / 255 * (len(_SHADES) - 1)).astype(int)
    lines = ("".join(_SHADES[level] for level in row) for row in levels)
    return Text("\n".join(lines), no_wrap=True, overflow="crop")


def _caption(answer: Answer, *, unicode: bool) -> "Text":
    """`Sneaker 98 % ✓`, or `Shirt 55 % ✗ (T-shirt/top)` with the truth in brackets."""
    from rich.text import Text

    caption = Text(f"{answer.class_name} {100 * answer.confidence:.0f} %")
    match answer.is_right:
        case True:
            caption.append(" ✓" if unicode else " right", "green")
        case False:
            caption.append(" ✗" if unicode else " wrong", "red")
            truth = f"({answer.truth})"
            caption.append(f" {truth}" if len(caption) + len(truth) < SIDE else f"\n{truth}")
    return caption
