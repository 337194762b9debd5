"""How figures look, and how one drawing serves a light page, a dark page and a file of its own.

A figure is drawn in stand-in colours. In a page they become the page's CSS variables, so that it decides by day and
night; in a file they become plain colours on white. No global state of Matplotlib is read or left changed.
"""

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from matplotlib import rc_context
from matplotlib.figure import Figure

WIDTH_INCHES = 4.6  # 440 pixels: on a phone it shrinks by a fifth, and the smallest words are still readable

# Stand-ins, none of which a drawing needs for itself.
INK, FAINT, BLUE, ORANGE = "#010203", "#040506", "#070809", "#0a0b0c"
# Blue and vermilion of Okabe and Ito 2008, "Color Universal Design", which no kind of colour blindness confuses.
_ON_WHITE: Mapping[str, str] = {INK: "#1f2328", FAINT: "#d0d7de", BLUE: "#0072b2", ORANGE: "#d55e00"}
_IN_PAGE: Mapping[str, str] = {
    INK: "var(--ink)",
    FAINT: "var(--faint)",
    BLUE: "var(--blue)",
    ORANGE: "var(--orange)",
}
# Any: its stubs want each key to be one of three hundred literals.
_STYLE: Any = {
    "svg.fonttype": "none",  # words stay words: they can be selected, searched and read aloud
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
    """Give a figure to draw on in our style."""
    with rc_context(_STYLE):
        yield Figure(figsize=(WIDTH_INCHES, height_inches), layout="constrained", facecolor="none")


def to_svg(figure: Figure) -> str:
    """Return the figure's `<svg>` element, in stand-in colours; equal figures give equal bytes."""
    file = io.StringIO()
    with rc_context(_STYLE):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    # Numbered anew in each figure, and so not to be had twice in a page; nothing refers to them.
    return re.sub(r' id="[A-Za-z.]+_\d+"', "", svg)


def in_page(svg: str) -> str:
    """Return the element for a page that has `--ink`, `--faint`, `--blue` and `--orange`."""
    return _coloured(svg, _IN_PAGE)


def as_file(svg: str) -> bytes:
    """Return a file of its own, on white."""
    head, bracket, rest = _coloured(svg, _ON_WHITE).partition(">")
    ground = '<rect width="100%" height="100%" fill="#ffffff"/>'
    return f'<?xml version="1.0" encoding="utf-8"?>\n{head}{bracket}{ground}{rest}'.encode()


def _coloured(svg: str, colours: Mapping[str, str]) -> str:
    for stand_in, colour in colours.items():
        svg = svg.replace(stand_in, colour)
    return svg
