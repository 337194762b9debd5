"""The style of figures. One drawing works in a light page, in a dark page and as a separate file.

A figure is drawn in placeholder colours. In a page they become the page's CSS variables, so that they follow its light
or dark theme. In a file they become fixed colours on white. This module must not use or change Matplotlib's global
state, and it ignores the user's `matplotlibrc`.
"""

import io
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from matplotlib import style
from matplotlib.figure import Figure

from fmnist.domain.model.text import one_line

WIDTH_INCHES = 4.6  # 440 pixels: on a phone it shrinks by a fifth, and the smallest text is still readable
_LONGEST_LABEL = 24  # letters: even the widest leave half of a figure for the drawing

# Placeholders, which no drawing uses as real colours.
INK, FAINT, BLUE, ORANGE = "#010203", "#040506", "#070809", "#0a0b0c"
# Blue and vermilion of Okabe and Ito 2008, "Color Universal Design", which remain distinct with any colour blindness.
_ON_WHITE = {INK: "#1f2328", FAINT: "#d0d7de", BLUE: "#0072b2", ORANGE: "#d55e00"}
_IN_PAGE = {INK: "var(--ink)", FAINT: "var(--faint)", BLUE: "var(--blue)", ORANGE: "var(--orange)"}
# Any, because Matplotlib's stubs require each key to be one of three hundred literals.
_STYLE: Any = {
    "text.parse_math": False,  # a class may be named `$x$`
    "svg.fonttype": "none",  # keep text as text, which can be selected, searched and read aloud
    "svg.hashsalt": "fmnist",
    "font.family": ["sans-serif"],
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 9,
    "axes.titlesize": 9,
    "axes.labelsize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "legend.frameon": False,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.edgecolor": FAINT,
    "axes.facecolor": "none",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "xtick.major.size": 0,
    "ytick.major.size": 0,
}


@contextmanager
def new_figure(height_inches: float) -> Iterator[Figure]:
    """Yield a figure in our style."""
    with style.context(["default", _STYLE]):
        yield Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained", facecolor="none")


def label(text: str) -> str:
    """Return a name as one line, cut to the length that a figure has room for."""
    line = one_line(text)
    return line if len(line) <= _LONGEST_LABEL else line[: _LONGEST_LABEL - 1] + "…"


def to_svg(figure: Figure) -> str:
    """Return the `<svg>` element of a figure, in placeholder colours. Equal figures give equal bytes."""
    file = io.StringIO()
    with warnings.catch_warnings():
        # The viewer of the SVG uses its own fonts.
        warnings.filterwarnings("ignore", r"Glyph \d+ .* missing from font")
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Remove numbered ids: each figure starts again at 1, ids must be unique in a page, and nothing refers to them.
    return _in_tags(svg, lambda tag: re.sub(r' id="[A-Za-z.]+_\d+"', "", tag))


def in_page(svg: str) -> str:
    """Return the element for a page that defines `--ink`, `--faint`, `--blue` and `--orange`."""
    return _coloured(svg, _IN_PAGE)


def as_file(svg: str) -> bytes:
    """Return the content of a separate SVG file, on white."""
    head, bracket, rest = _coloured(svg, _ON_WHITE).partition(">")
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{bracket}{ground}{rest}'.encode()


def _coloured(svg: str, colours: Mapping[str, str]) -> str:
    stand_ins = re.compile("|".join(colours))
    return _in_tags(svg, lambda tag: stand_ins.sub(lambda found: colours[found[0]], tag))


def _in_tags(svg: str, change: Callable[[str], str]) -> str:
    """Change the tags of an element, and keep its text. Matplotlib escapes angle brackets in text."""
    return re.sub(r"<[^>]*>", lambda tag: change(tag[0]), svg)
