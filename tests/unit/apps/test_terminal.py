"""Text of a registry or user is printed as it is: never as markup, and never as a control sequence."""

import io
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table
from rich.text import Text

from fmnist.apps.promotion_report import StepReport, give, print_history, print_status, print_trace
from fmnist.apps.terminal import stderr, stdout
from fmnist.domain.model.model import ModelVersion
from fmnist.domain.model.promotion.policy import Mode, Rule
from fmnist.domain.model.promotion.records import AcceptanceRecord, DecisionRecord
from fmnist.domain.model.text import printable
from fmnist.domain.services.promotion.overview import Event, Standing
from fmnist.domain.services.promotion.trace import Link

MARKUP = ["[red]x[/red]", "[/]", "[link=http://evil]y[/link]", ":pill:"]
CONTROL = ["\x1b[2J\x1b[31mred", "\x9b2J", "\rnew", "a\u202eb", "\ud800"]
# Letters of zero or double width, and blanks, may be laid out differently.
LETTERS = st.characters(max_codepoint=0x24F, exclude_categories=["Zs", "Cf"], exclude_characters="\n\t")
TEXTS = st.sampled_from(MARKUP + CONTROL) | st.text(LETTERS, min_size=1, max_size=12)


def step(text: str) -> None:
    rule = Rule(text, passed=False, figures={text: 0.5}, reason=text)
    decision = DecisionRecord(
        version=text,
        at=text,
        champion=text,
        mode=Mode.EVALUATE,
        rules=(rule,),
        data_version=text,
        split=text,
        policy={},
    )
    acceptance = AcceptanceRecord(version=text, at=text, checks=(rule,))
    report = StepReport(promoted=False, message=text, decision=decision, acceptance=acceptance, hints=[text])
    give(report, as_json=False, output_dir=None)


def status(text: str) -> None:
    tags = {"dvc_data_version": text, "docker_image_tag": text, "serving_image": text}
    version = ModelVersion(name="prod.m", version=1, run_id=text, aliases=(), tags=tags, created=0.0)
    print_status([Standing("champion", version, text, text)], as_json=False)


def history(text: str) -> None:
    print_history([Event("2026", text, text, text, text)], as_json=False)


def trace(text: str) -> None:
    print_trace([Link(text, text, ((text, text),))], as_json=False)


def table(text: str) -> None:
    shown = Table(text, title=text)
    shown.add_row(text)
    stdout().print(shown, Text(text), text)


@pytest.mark.parametrize("shown", [step, status, history, trace, table])
@given(text=TEXTS)
def test_text_is_shown_as_it_is_and_never_interpreted(shown: Callable[[str], None], text: str) -> None:
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()) as told:
        patch.setenv("COLUMNS", "2000")
        stdout.cache_clear()
        shown(text)
    stdout.cache_clear()
    said = told.getvalue()
    assert said == printable(said)
    said.encode()
    # Rich removes some control characters before we can show them.
    bare = "".join(letter for letter in text if letter not in "\x07\x08\x0b\x0c\r")
    assert printable(bare) in said


class Screen(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_spinner_shows_text_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    stderr.cache_clear()
    with redirect_stderr(Screen()) as told, stderr().status(Text("[/] \x1b[2Jx")):
        pass
    stderr.cache_clear()
    assert "[/] \\x1b[2Jx" in told.getvalue()


@pytest.mark.parametrize("text", ["plain", "Ünïcode 図 🙂", "two\nlines\tand a tab"])
def test_text_without_control_characters_is_not_changed(text: str) -> None:
    assert printable(text) == text
