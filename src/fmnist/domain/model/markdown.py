"""Text from elsewhere as words of a Markdown document, with its marks escaped where they would mean something."""

import re
from collections.abc import Iterable, Sequence

from fmnist.domain.model.text import one_line

# An underscore within a word means nothing, and `dvc_data_version` reads better without a backslash.
_MARKS = re.compile(r"[\\`*\[\]<>&|~$]|(?<![^\W_])_|_(?![^\W_])")

# What begins a heading, its underline, an item or a rule. The other marks that begin blocks are escaped everywhere.
_BEGINNING = re.compile(r"\A(?:(?=[#+=-](?!\w))|(?P<number>\d{1,9})(?=[.)](?!\S)))")


def words(text: str) -> str:
    """Return the text as words of a paragraph, an item or a table's cell."""
    line = _MARKS.sub(r"\\\g<0>", one_line(text).strip(" "))  # four spaces would begin a block of code
    return _BEGINNING.sub(r"\g<number>\\", line)


def code(text: str) -> str:
    """Return the text as code in a line; no table has any, for a bar could not be escaped."""
    line = one_line(text) or " "
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if line.strip("` ") != line and line.strip() else ""  # of which Markdown takes one off
    return f"{fence}{pad}{line}{pad}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts."""
    cells = ([words(text) for text in row] for row in (head, *rows))
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{' --- |' * len(head)}", *lines[1:]])
