"""Edits YAML with ruamel.yaml, which keeps comments, order, quotes and indentation.

It loses spaces that only align text, comments inside of `[…]`, and comments of empty documents.
"""

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

_HEAD = re.compile(r"(?:[ \t]*(?:#.*)?\n)+(?=---)")
# Common layouts: mapping, sequence and offset indentation. A file is written in the layout that changes it least.
_LAYOUTS = ((2, 2, 0), (2, 4, 2), (4, 2, 0), (4, 4, 2), (4, 6, 4))


def load(text: str) -> list[Any]:
    """Return the documents of a stream, as mappings and lists that keep their comments.

    Raises:
        YAMLError: the text is not valid YAML.
    """
    try:
        return list(_yaml(text, _LAYOUTS[0]).load_all(text))
    except YAMLError:
        raise
    except Exception as error:
        # ruamel does not catch errors from an impossible date or number, or from too deep nesting.
        raise YAMLError(f"{type(error).__name__}: {error}") from error


def dump(documents: list[Any], before: str) -> str:
    """Return changed documents as text, in the layout of `before`, the text that they were loaded from."""
    original, lines = load(before), before.splitlines()

    def changed(layout: tuple[int, int, int]) -> int:
        again = _dump(before, layout, original).splitlines()
        return sum(a != b for a, b in zip(lines, again, strict=False)) + abs(len(lines) - len(again))

    return _dump(before, min(_LAYOUTS, key=changed), documents)


def quoted(text: str) -> Any:
    """Return the text in double quotes, so that every YAML 1.1 reader also reads a string."""
    return DoubleQuotedScalarString(text)


def block(text: str) -> Any:
    """Return the text as a literal block. The mapping around it keeps the comments of the old value."""
    return LiteralScalarString(text)


def plain(value: Any) -> Any:
    """Return a mapping's texts and numbers without the types of ruamel.yaml, which keep their notation."""
    if not isinstance(value, dict):
        return value
    kinds = {
        name: next((kind for kind in (bool, int, str) if isinstance(each, kind)), None) for name, each in value.items()
    }
    return {name: each if (kind := kinds[name]) is None else kind(each) for name, each in value.items()}


def _dump(before: str, layout: tuple[int, int, int], documents: list[Any]) -> str:
    # ruamel loses comments before the first `---`, because they belong to no document.
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
