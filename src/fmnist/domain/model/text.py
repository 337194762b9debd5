"""Text from elsewhere, such as a class name or a tag, as it may stand in a line that a person reads."""

import re

# Controls, ends of lines, marks that turn the direction of what follows, lone surrogates, and what is no character.
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]")


def one_line(text: str) -> str:
    r"""Return the text with escapes such as `\n` for whatever forges lines, drives a terminal or fits into no XML."""
    return _UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
