"""A YAML file that is changed and written again by ruamel.yaml: comments, order, quotes and indentation stay.

Spaces that only align things do not, nor do comments inside of `[…]` and of documents without content.
"""

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

_HEAD = re.compile(r"(?:[ \t]*(?:#.*)?\n)+(?=---)")
# Mapping, sequence and offset of the layouts that people use; a file is written in the one most like it.
_LAYOUTS = ((2, 2, 0), (2, 4, 2), (4, 2, 0), (4, 4, 2), (4, 6, 4))


def load(text: str) -> list[Any]:
    """Return the documents of a stream, as mappings and lists that keep their comments.

    Raises:
        YAMLError: the text is no YAML.
    """
    try:
        return list(_yaml(text, _LAYOUTS[0]).load_all(text))
    except YAMLError:
        raise
    except Exception as error:
        # It lets through what its own parts raise at a date, a number or a depth that cannot be.
        raise YAMLError(f"{type(error).__name__}: {error}") from error


def dump(documents: list[Any], before: str) -> str:
    """Return the text of documents that were loaded from the text `before`, in its layout."""
    original, lines = load(before), before.splitlines()

    def changed(layout: tuple[int, int, int]) -> int:
        again = _dump(before, layout, original).splitlines()
        return sum(a != b for a, b in zip(lines, again, strict=False)) + abs(len(lines) - len(again))

    return _dump(before, min(_LAYOUTS, key=changed), documents)


def quoted(value: Any) -> Any:
    """Return the value with its texts in double quotes, which hold any text, also for a reader of YAML 1.1."""
    if isinstance(value, dict):
        return {name: quoted(child) for name, child in value.items()}
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value


def block(text: str, before: str) -> Any:
    """Return a text of several lines, with the comment that followed the one before."""
    scalar: Any = LiteralScalarString(text)
    if hasattr(before, "comment"):
        scalar.comment = before.comment
    return scalar


def _dump(before: str, layout: tuple[int, int, int], documents: list[Any]) -> str:
    # What stands before the first document's mark belongs to no document.
    found = _HEAD.match(before)
    head = found.group() if found else ""
    buffer = io.StringIO(head)
    buffer.seek(len(head))
    _yaml(before.removeprefix(head), layout).dump_all(documents, buffer)
    return buffer.getvalue()


def _yaml(text: str, layout: tuple[int, int, int]) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 2**16
    yaml.explicit_start = text.startswith("---")
    mapping, sequence, offset = layout
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    return yaml
