"""The guarded streams of this process. Whole programs with broken streams are in the integration tests."""

import io
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from fmnist.apps.streams import UNREAD, _Output, guarded_streams


@contextmanager
def replaced(number: int, by: int | None) -> Iterator[None]:
    """Replace a standard descriptor of this process, or close it."""
    kept = os.dup(number)
    try:
        if by is None:
            os.close(number)
        else:
            os.dup2(by, number)
            os.close(by)
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def test_full_terminal_that_does_not_block_gets_the_whole_result() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    result, found = os.urandom(1_000_000), []

    def read() -> None:
        with os.fdopen(reader, "rb") as pipe:
            found.append(pipe.read())

    thread = threading.Thread(target=read)
    with io.BufferedWriter(_Output(writer, "w")) as out:
        thread.start()
        out.write(result)
    thread.join(30)
    assert found == [result]


def test_result_without_a_reader_ends_the_process_silently(capsys: pytest.CaptureFixture[str]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with _Output(writer, "w") as out:
        with pytest.raises(SystemExit) as ended:
            out.write(b"result")
        assert out.write(b"the rest") == 8
    assert (ended.value.code, capsys.readouterr().err) == (UNREAD, "")


def test_result_on_a_full_disk_ends_the_process_with_the_reason(capsys: pytest.CaptureFixture[str]) -> None:
    with _Output(os.open("/dev/full", os.O_WRONLY), "w") as out:
        with pytest.raises(SystemExit) as ended:
            out.write(b"result")
        assert out.write(b"the rest") == 8
    expected = "error: the result cannot be written to stdout: No space left on device\n"
    assert (ended.value.code, capsys.readouterr().err) == (1, expected)


def test_message_that_cannot_be_written_is_lost() -> None:
    with replaced(2, by=os.open("/dev/full", os.O_WRONLY)):
        assert _Output(2, "w", closefd=False).write(b"message") == 7


def test_closed_stdin_is_opened_on_an_empty_file_for_child_processes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with replaced(0, by=None):
        with guarded_streams():
            assert os.get_inheritable(0)
            assert sys.stdin.read() == ""
        assert os.path.samestat(os.fstat(0), Path(os.devnull).stat())


def test_streams_of_the_process_are_guarded_and_print_any_text(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    for name in ("stdout", "stderr"):
        plain = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, name, plain)
        monkeypatch.setattr(sys, f"__{name}__", plain)
    with guarded_streams():
        sys.stderr.write("progress \u00e9\n")
        sys.stdout.write("result \u00e9\n")
    assert capfd.readouterr() == ("result \\xe9\n", "progress \\xe9\n")
