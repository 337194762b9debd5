"""Text from outside stays on one line, and its visible characters are not changed."""

from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.text import one_line


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_becomes_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.splitlines() in ([line], [])
    line.encode()
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in line)
    assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff")


@given(st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs"))))
def test_visible_characters_are_not_changed(text: str) -> None:
    assert one_line(text) == text


def test_invisible_characters_are_escaped() -> None:
    assert one_line("a\nb\x1b[0m\u202e\ud800") == r"a\nb\x1b[0m\u202e\ud800"
