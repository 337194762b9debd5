"""Escapes text from elsewhere, such as a class name or a tag, for a terminal or a report."""

import re

# Control characters, line separators, marks that change the text direction, lone surrogates and non-characters.
_FORBIDDEN = "\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff"
_IN_A_LINE = re.compile(f"[\x00-\x1f{_FORBIDDEN}]")
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f{_FORBIDDEN}]")


def one_line(text: str) -> str:
    r"""Return the text in one line. Escapes such as `\n` replace line ends, terminal controls and what XML forbids."""
    return _IN_A_LINE.sub(_escaped, text)


def is_visible_ascii(text: str) -> bool:
    """Return whether a text has only visible ASCII characters and no spaces, so that any client can send it."""
    return bool(_VISIBLE_ASCII.fullmatch(text))


def words_of(error: BaseException) -> str:
    """Return the message of an error in one line, or its type if the message is empty."""
    return " ".join(str(error).split()) or type(error).__name__


def printable(text: str) -> str:
    """Return the text with escapes as in `one_line`, but keep newlines and tabs."""
    return _IN_LINES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
