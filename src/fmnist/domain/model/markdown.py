"""Escapes text from elsewhere for a Markdown document, so that none of it is read as markup."""

import re
from collections.abc import Iterable, Sequence

from fmnist.domain.model.text import one_line

# An underscore inside a word is no markup, and `dvc_data_version` reads better without a backslash.
_MARKS = re.compile(r"[\\`*\[\]<>&|~$]|(?<![^\W_])_|_(?![^\W_])")

# Marks that begin a heading, its underline, a list item or a rule. `_MARKS` has the others that begin blocks.
_BEGINNING = re.compile(r"\A(?:(?=[#+=-](?!\w))|(?P<number>\d{1,9})(?=[.)](?!\S)))")


def words(text: str) -> str:
    """Return the text, escaped for a paragraph, a list item or a table cell."""
    line = _MARKS.sub(r"\\\g<0>", one_line(text).strip())  # four spaces would begin a code block
    return _BEGINNING.sub(r"\g<number>\\", line)


def code(text: str) -> str:
    """Return the text as inline code. Do not use it in a table: a bar inside code cannot be escaped."""
    line = one_line(text) or " "
    fence = "`" * (1 + max(map(len, re.findall("`+", line)), default=0))
    pad = " " if line.strip("` ") != line and line.strip() else ""  # Markdown removes one space on each side
    return f"{fence}{pad}{line}{pad}{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts."""
    cells = ([words(text) for text in row] for row in (head, *rows))
    lines = [f"| {' | '.join(row)} |" for row in cells]
    return "\n".join([lines[0], f"|{' --- |' * len(head)}", *lines[1:]])
