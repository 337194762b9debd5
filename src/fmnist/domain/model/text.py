"""Text from elsewhere, such as a class name or a tag, as a person may get it: it moves, colours and erases nothing."""

import re

# Controls, ends of lines, marks that turn the direction of what follows, lone surrogates, and what is no character.
_FORBIDDEN = "\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff"
_IN_A_LINE = re.compile(f"[\x00-\x1f{_FORBIDDEN}]")
_VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f{_FORBIDDEN}]")


def one_line(text: str) -> str:
    r"""Return the text with escapes such as `\n` for whatever forges lines, drives a terminal or fits into no XML."""
    return _IN_A_LINE.sub(_escaped, text)


def is_visible_ascii(text: str) -> bool:
    """Return whether a text is of visible ASCII characters alone, without spaces, as any client can send it."""
    return bool(_VISIBLE_ASCII.fullmatch(text))


def words_of(error: BaseException) -> str:
    """Return what an error says, in one line; its type where it says nothing."""
    return " ".join(str(error).split()) or type(error).__name__


def printable(text: str) -> str:
    """Return what `one_line` does, save that lines and tabs stay."""
    return _IN_LINES.sub(_escaped, text)


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
