"""The log never shows a password of an address, and no message can forge a line."""

import logging
import re
import sys
from collections.abc import Iterator

import pytest

from fmnist.apps.logs import configure_logging
from fmnist.apps.terminal import stderr


@pytest.fixture
def log() -> Iterator[logging.Logger]:
    """A vendor's logger. The suite's own handlers are restored afterwards."""
    root, names = logging.getLogger(), ("fmnist", "urllib3")
    handlers, level, levels = list(root.handlers), root.level, [logging.getLogger(name).level for name in names]
    stderr.cache_clear()
    yield logging.getLogger("vendor")
    stderr.cache_clear()
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in zip(names, levels, strict=True):
        logging.getLogger(name).setLevel(before)


@pytest.mark.parametrize("terminal", [False, True])
def test_neither_message_nor_traceback_shows_the_password_of_an_address(
    log: logging.Logger, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    configure_logging("DEBUG")
    address = "https://me:hidden@git.example/registry.git"
    log.warning("gave up on %s", address, exc_info=RuntimeError(f"cannot fetch {address}"))
    said = capsys.readouterr().err
    assert "gave up on" in said
    assert "RuntimeError: cannot fetch" in said
    assert "git.example" in said
    assert "hidden" not in said


@pytest.mark.parametrize("terminal", ["", "1"])
def test_no_message_forges_a_line_or_controls_the_terminal(
    log: logging.Logger, terminal: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FORCE_COLOR", terminal)
    monkeypatch.setenv("COLUMNS", "500")
    configure_logging("DEBUG")
    name = "run\n2030-01-01 00:00:00 INFO fmnist: all is well\r\x1b[2J\u202e"
    log.warning("began %s", name)
    said = capsys.readouterr().err
    assert r"began run\n2030-01-01 00:00:00 INFO fmnist: all is well\r\x1b[2J\u202e" in re.sub("\x1b[^m]*m", "", said)
    assert not {"\x1b[2J", "\r", "\u202e"} & set(re.findall("\x1b\\[2J|\r|\u202e", said))
