"""Text from elsewhere stays within its line, and what can be seen of it stays as it is."""

from hypothesis import given
from hypothesis import strategies as st

from fmnist.domain.model.text import one_line


@given(st.text(st.characters(exclude_categories=())))
def test_text_of_any_kind_becomes_one_printable_line(text: str) -> None:
    line = one_line(text)
    assert line.splitlines() in ([line], [])
    line.encode()
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in line)
    assert not set(line) & set("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufffe\uffff")


@given(st.text(st.characters(categories=("L", "M", "N", "P", "S", "Zs"))))
def test_what_can_be_seen_stays(text: str) -> None:
    assert one_line(text) == text


def test_what_cannot_be_seen_is_named() -> None:
    assert one_line("a\nb\x1b[0m\u202e\ud800") == r"a\nb\x1b[0m\u202e\ud800"
