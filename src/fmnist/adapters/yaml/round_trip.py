"""YAML changed where it has to be, and left as somebody wrote it everywhere else: comments, quotes, spaces, order.

ruamel.yaml says where each value stands, the text is changed there, and what comes out has to mean what was asked for.
Where it does not (an anchor, a value over several lines, a new key), ruamel.yaml writes the document anew; then spaces
may change, and comments and order still do not.
"""

import io
import re
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError
from ruamel.yaml.scalarstring import DoubleQuotedScalarString, LiteralScalarString

# Mapping, sequence and offset of the layouts that people use; a document written anew is in the one most like it.
_LAYOUTS = ((2, 2, 0), (2, 4, 2), (4, 2, 0), (4, 4, 2), (4, 6, 4))
# Texts such as `models:/NAME/1` and `registry:5000/image:tag`, which are texts by any rule and with any quotes or none.
# Ray Serve and Kubernetes read YAML 1.1, where `yes` and `1:30` are none; ruamel.yaml would write these without quotes.
_TEXT = re.compile(r"(?:[A-Za-z][\w.-]*[:@]|[A-Za-z0-9][\w.:-]*/)[\w.:/@-]*\w", re.ASCII)


class RoundTrip:
    """A stream of YAML documents.

    Raises:
        YAMLError: the text is no YAML.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.splitlines(keepends=True)
        self._documents = _load(text)
        self._in_place = True
        self._changed = False

    def parts(self) -> list[Any]:
        """The documents, to be looked at; what changes them is `set`."""
        return self._documents

    def set(self, mapping: Any, key: str, value: Any) -> None:
        """Set a value of a mapping that is part of this stream."""
        old = mapping.get(key)
        if old == value:
            return
        self._changed = True
        if isinstance(old, str) and isinstance(value, str) and _TEXT.fullmatch(value):
            line, column = mapping.lc.value(key)
            quoted = [(f"{quote}{old}{quote}", f"{quote}{value}{quote}") for quote in ('"', "'", "")]
            self._in_place &= any(self._replace(line, column, before, after) for before, after in quoted)
            mapping[key] = type(old)(value)
        else:
            self._in_place = False
            mapping[key] = _quoted(value)

    def set_block(self, mapping: Any, key: str, text: str) -> None:
        """Set a text of several lines, of which those that stay the same are not touched."""
        old = mapping[key]
        if old == text:
            return
        self._changed = True
        first = mapping.lc.value(key)[0] + 1
        before, after = old.splitlines(), text.splitlines()
        self._in_place &= isinstance(old, LiteralScalarString) and len(before) == len(after)
        for number, (was, becomes) in enumerate(zip(before, after, strict=False), first):
            if was != becomes and self._in_place:
                column = len(self._lines[number].rstrip("\r\n")) - len(was)
                self._in_place &= self._replace(number, column, was, becomes)
        new = LiteralScalarString(text)
        if hasattr(old, "comment"):
            new.comment = old.comment  # what follows the block
        mapping[key] = new

    def text(self) -> str:
        """Return the stream as it is now."""
        if not self._changed:
            return self._text
        changed = "".join(self._lines)
        if self._in_place and _means(changed, self._documents):
            return changed
        return _dump(_layout_of(self._text), self._documents)

    def _replace(self, line: int, column: int, before: str, after: str) -> bool:
        if line >= len(self._lines) or column < 0 or not self._lines[line].startswith(before, column):
            return False
        text = self._lines[line]
        self._lines[line] = text[:column] + after + text[column + len(before) :]
        return True


def _quoted(value: Any) -> Any:
    """Return the value with its texts in double quotes, which take whatever a text may hold."""
    if isinstance(value, dict):
        return {name: _quoted(child) for name, child in value.items()}
    return DoubleQuotedScalarString(value) if isinstance(value, str) else value


def _means(text: str, documents: list[Any]) -> bool:
    try:
        return _load(text) == documents
    except YAMLError:
        return False


def _layout_of(text: str) -> YAML:
    """Return a writer in the layout that gives the text back with the fewest lines changed."""
    documents, before = _load(text), text.splitlines()

    def changed(yaml: YAML) -> int:
        again = _dump(yaml, documents).splitlines()
        return sum(a != b for a, b in zip(before, again, strict=False)) + abs(len(before) - len(again))

    return min((_yaml(*layout) for layout in _LAYOUTS), key=changed)


def _yaml(mapping: int, sequence: int, offset: int) -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = 2**16
    yaml.indent(mapping=mapping, sequence=sequence, offset=offset)
    return yaml


def _load(text: str) -> list[Any]:
    try:
        return list(_yaml(*_LAYOUTS[0]).load_all(text))
    except YAMLError:
        raise
    except Exception as error:
        # It lets through what its own parts raise at a date, a number or a depth that cannot be.
        raise YAMLError(f"{type(error).__name__}: {error}") from error


def _dump(yaml: YAML, documents: list[Any]) -> str:
    buffer = io.StringIO()
    yaml.dump_all(documents, buffer)
    return buffer.getvalue()
