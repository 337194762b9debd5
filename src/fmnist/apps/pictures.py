"""Draws classified images in a terminal: small pictures side by side, each with its answer below.

Rich is imported only to draw. Without a colour terminal, the pictures are plain text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from fmnist.domain.model.data.images import SIDE, Images
from fmnist.domain.model.errors import BadInput

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

# From black to white, by how bright each character looks on a dark terminal.
_SHADES = " .:-=+*#%@"
_GAP = 3


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


def draw_answers(console: "Console", images: Images, answers: Sequence[Answer]) -> None:
    """Print a uint8 batch (n, 28, 28) as pictures of 28 columns and 14 rows, as many side by side as fit.

    Raises:
        BadInput: the number of answers is not the number of images.
    """
    from rich.table import Table

    if len(images) != len(answers):
        raise BadInput(f"{len(images)} images and {len(answers)} answers: expected one answer per image")
    unicode = not console.options.ascii_only
    draw = _blocks if unicode and console.color_system and not console.no_color else _shades
    per_row = max(1, (console.width + _GAP) // (SIDE + _GAP))
    for start in range(0, len(images), per_row):
        shown = slice(start, start + per_row)
        table = Table.grid(padding=(0, _GAP, 0, 0))
        for _ in answers[shown]:
            table.add_column(width=SIDE, justify="center")
        table.add_row(*(draw(image) for image in images[shown]))
        table.add_row(*(_caption(answer, unicode=unicode) for answer in answers[shown]))
        console.print(table)
        console.print()


def _blocks(image: Images) -> "Text":
    """Draw two pixels per character: the upper one colours the half block, the lower one its background."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    greys = [Color.from_rgb(level, level, level) for level in range(256)]
    picture = Text(no_wrap=True, overflow="crop")
    for row in range(0, SIDE, 2):
        for upper, lower in zip(image[row], image[row + 1], strict=True):
            picture.append("▀", Style(color=greys[upper], bgcolor=greys[lower]))
        picture.append("\n")
    picture.rstrip()
    return picture


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
