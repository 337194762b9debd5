"""No text in a card changes its Markdown structure."""

from dataclasses import replace

from hypothesis import example, given
from markdown_it import MarkdownIt

from fmnist.domain.model.evaluation.card import accuracy_in, model_card
from fmnist.domain.model.evaluation.report import ModelReport
from fmnist.domain.model.text import one_line
from tests.unit.hostile import MARKUP, names, texts
from tests.unit.reports import a_report

REPORT = a_report()
PARSER = MarkdownIt("commonmark").enable(["table", "strikethrough"])


def told(text: str, class_names: list[str]) -> ModelReport:
    """A report that has the text in every field from outside."""
    assert REPORT.story is not None
    lineage = {"dvc_data_version": text, f"of {text}": text}
    return replace(
        REPORT,
        info=replace(REPORT.info, class_names=tuple(class_names), lineage=lineage, architecture=text),
        measured=replace(REPORT.measured, data_version=text, digest=text),
        story=replace(REPORT.story, params={"architecture": text, "lr": text}, device=text),
        source=text,
        counts={text: 3},
    )


def form_and_words(card: str) -> tuple[list[str], str]:
    """Return the structure of the card without its words, and its words in a row."""
    form, words = list[str](), list[str]()
    for token in PARSER.parse(card):
        for part in (token.children or []) if token.type == "inline" else [token]:
            if part.type in {"text", "code_inline"}:
                words.append(part.content)
            if part.type != "text":
                form.append(part.type)
    return form, " ".join(" ".join(words).split())


@given(texts, names)
@example("a`b``c`", list(MARKUP[:10]))
@example("` |\\", list(MARKUP[10:20]))
@example("", list(MARKUP[-10:]))
def test_text_in_a_card_is_never_markup(text: str, class_names: list[str]) -> None:
    plain, _ = form_and_words(model_card(told("text", [f"class {letter}" for letter in "abcdefghij"])))
    form, words = form_and_words(model_card(told(text, class_names)))
    assert form == plain
    for each in [text, *class_names]:
        assert " ".join(one_line(each).split()) in words


def test_card_is_readable_as_plain_text() -> None:
    card = model_card(REPORT)
    for word in ("T-shirt/top", "dvc_data_version", "fashion-mnist-v1.0.0", "https://example.com/registry.git"):
        assert word in card
    assert "\\" not in card


def test_accuracy_is_read_back_as_the_card_states_it() -> None:
    measured = REPORT.measured
    low, high = measured.accuracy_interval
    expected = f"{measured.evaluation.accuracy:.2%} ({low:.1%}-{high:.1%})"
    assert accuracy_in(model_card(REPORT)) == (measured.split, expected)
    assert accuracy_in("# Another card\n\n| accuracy | 99% |\n") is None
