"""Text stays text of its paragraph, item or cell, at any position in it."""

from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from fmnist.domain.model.markdown import words
from fmnist.domain.model.text import one_line

PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])
MARKS = st.text(st.sampled_from("#-+=*_~`>|:.)( \t\n1923ab"), max_size=12)


def rendered(document: str) -> list[tuple[str, str]]:
    """The blocks of a document and the text of each."""
    tokens = PARSER.parse(document)
    inlines = [part for token in tokens for part in token.children or []]
    assert {part.type for part in inlines} <= {"text", "softbreak"}
    return [(token.type, "".join(part.content for part in token.children or [])) for token in tokens]


@given(MARKS | st.text(max_size=12))
@example("# a")
@example("#")
@example("- a")
@example("-")
@example("---")
@example("- - -")
@example("+ a")
@example("1. a")
@example("123456789) a")
@example("> a")
@example("~~~")
@example("    a")
@example("\ta")
@example("===")
@example("=")
@example("\xa0")
def test_text_starts_no_block(text: str) -> None:
    said = one_line(text).strip()
    alone = [("paragraph_open", ""), ("inline", said), ("paragraph_close", "")] if said else []
    assert rendered(words(text)) == alone
    # Below another line of the paragraph, which `===` would turn into a heading.
    assert rendered(f"a\n{words(text)}") == [("paragraph_open", ""), ("inline", f"a{said}"), ("paragraph_close", "")]
    item = [("list_item_open", ""), *(alone), ("list_item_close", "")]
    assert rendered(f"* {words(text)}") == [("bullet_list_open", ""), *item, ("bullet_list_close", "")]


def test_text_that_only_looks_like_a_block_stays_readable() -> None:
    for text in ("-1", "1.5", "2026-01-01", "+x", "#1", "T-shirt/top", "=a", "12 pictures", "1e-3"):
        assert words(text) == text
