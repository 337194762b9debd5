"""Text of a registry or a user as a terminal may get it: it is shown, and moves, colours and erases nothing."""

import re

# C0 and C1 controls but for tab and newline, line separators, bidirectional overrides, and halves of a character.
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def printable(text: str) -> str:
    r"""Return the text with what a terminal would obey, or could not encode, written out, such as `\x1b`."""
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
