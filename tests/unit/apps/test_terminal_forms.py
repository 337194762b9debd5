"""Live displays and boxes appear only on a terminal. Colours appear wherever they are requested."""

import io
import os
from collections.abc import Iterator
from unittest.mock import patch

import pytest
from rich.console import Console
from rich.text import Text

from fmnist.apps import terminal
from fmnist.apps.data import _print_table
from fmnist.apps.progress import TrainingProgress
from fmnist.domain.model.training.run import Progress


def forget_consoles() -> None:
    for console in (terminal.stdout, terminal.stderr):
        console.cache_clear()


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Consoles for this test's environment only."""
    for name in ("FORCE_COLOR", "NO_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLUMNS", "LINES", "COLORTERM"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    forget_consoles()
    yield
    forget_consoles()


def work(console: Console) -> None:
    with console.status("loading"):
        pass
    with TrainingProgress(console) as progress:
        progress(Progress(0, 1, 0, 10))
        progress(Progress(0, 1, 10, 10, metrics=dict.fromkeys(("train_loss", "train_acc", "val_loss", "val_acc"), 0.5)))
    console.print(Text("over", "red"))


EPOCH = "epoch 1/1  train loss 0.500 acc  50.0%  val loss 0.500 acc  50.0%  best\n"


@pytest.mark.parametrize(
    ("variables", "last"),
    [
        ({}, "over\n"),
        ({"FORCE_COLOR": "1"}, "\x1b[31mover\x1b[0m\n"),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, "over\n"),
        ({"FORCE_COLOR": "1", "TERM": "dumb"}, "over\n"),
        ({"TTY_COMPATIBLE": "1", "TTY_INTERACTIVE": "1", "NO_COLOR": "1"}, "over\n"),
    ],
)
def test_file_gets_lines_without_cursor_movements(
    variables: dict[str, str], last: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with patch.dict(os.environ, variables):
        work(terminal.stderr())
    assert capsys.readouterr().err == EPOCH + last


@pytest.mark.parametrize("variables", [{}, {"FORCE_COLOR": "1"}])
def test_table_without_a_terminal_can_be_parsed_by_cut(
    variables: dict[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    with patch.dict(os.environ, variables):
        _print_table(("split", "images"), [("train", 3)])
    assert capsys.readouterr().out == "split\timages\ntrain\t3\n"


class Screen(io.StringIO):
    encoding = "ascii"  # type: ignore[assignment]

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("columns", ["1", "0", "-1", "odd", "100000"])
@pytest.mark.parametrize("kind", ["xterm", "dumb", ""])
def test_display_works_on_any_width_and_kind_of_terminal(
    columns: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen()
    monkeypatch.setattr("sys.stderr", screen)
    monkeypatch.setattr("sys.stdout", screen)
    with patch.dict(os.environ, {"COLUMNS": columns, "TERM": kind}):
        work(terminal.stderr())
        _print_table(("split", "images"), [("train", 3)])
    assert screen.getvalue()
